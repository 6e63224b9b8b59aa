import { createServer, type Socket } from 'node:net';
import { machineMs } from '../streams/clock.ts';
import { bodyLength, EVENT_END, type Pace, paceOf, STAMP_DIGITS } from '../streams/request.ts';

/**
 * An API that answers each request by a stream of events at a steady pace, the first of them at once. Each event has the moment at
 * which it was written, in µs. It reads and writes bare sockets, so that it takes little of the machine. `node paced-origin.ts PORT`.
 */
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

/** About as long as a chunk of a chat completion. */
const EVENT = `data: ${JSON.stringify({
  id: 'chatcmpl-bench',
  object: 'chat.completion.chunk',
  created: 1_767_225_600,
  model: 'paced',
  choices: [{ index: 0, delta: { content: '0'.repeat(STAMP_DIGITS) }, logprobs: null, finish_reason: null }],
})}${EVENT_END}`;

const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const FIRST = Buffer.from(HEAD + chunked(EVENT));
const NEXT = Buffer.from(chunked(EVENT));
const END = Buffer.from(`${chunked(`data: [DONE]${EVENT_END}`)}0\r\n\r\n`);

const stampAt = (bytes: Buffer) => bytes.indexOf('0'.repeat(STAMP_DIGITS));
const FIRST_STAMP = stampAt(FIRST);
const NEXT_STAMP = stampAt(NEXT);

/** Writes the moment into an event. */
function stamp(bytes: Buffer, at: number): void {
  let rest = Math.floor(machineMs() * 1_000);
  for (let i = at + STAMP_DIGITS - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10);
    bytes[i] = 0x30 + rest - tenth * 10;
    rest = tenth;
  }
}

/** One reply. Its events have their moments, so that a late one does not move those after it. */
class Stream {
  readonly #socket: Socket;
  /** Used for each event. A socket that is still sending the last one gets a copy. */
  readonly #bytes = Buffer.from(NEXT);
  #left: number;
  dueMs: number;

  constructor(socket: Socket, { events, intervalMs }: Pace, nowMs: number) {
    this.#socket = socket;
    this.#left = events - 1;
    this.dueMs = nowMs + intervalMs;
    const first = Buffer.from(FIRST);
    stamp(first, FIRST_STAMP);
    socket.write(first);
  }

  /** Sends what is due. False after the last event, or if the client has left. */
  send(): boolean {
    if (this.#socket.destroyed) return false;
    if (this.#left-- === 0) {
      this.#socket.write(END);
      return false;
    }
    const bytes = this.#socket.writableLength === 0 ? this.#bytes : Buffer.from(NEXT);
    stamp(bytes, NEXT_STAMP);
    this.#socket.write(bytes);
    return true;
  }
}

/** Streams of one interval, the next due first: a stream that has sent goes to the end. */
class Pacer {
  readonly #intervalMs: number;
  #queue: Stream[] = [];
  #timed = false;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  add(stream: Stream): void {
    this.#queue.push(stream);
    if (!this.#timed) this.#wait();
  }

  readonly #run = (): void => {
    const later: Stream[] = [];
    const queue = this.#queue;
    let done = 0;
    for (const stream of queue) {
      if (stream.dueMs > machineMs()) break;
      done++;
      if (!stream.send()) continue;
      stream.dueMs += this.#intervalMs;
      later.push(stream);
    }
    this.#queue = queue.slice(done).concat(later);
    this.#wait();
  };

  #wait(): void {
    const [next] = this.#queue;
    this.#timed = next !== undefined;
    if (next !== undefined) setTimeout(this.#run, next.dueMs - machineMs());
  }
}

const pacers = new Map<number, Pacer>();

function answer(socket: Socket, body: string): void {
  const pace = paceOf(body);
  const pacer = pacers.get(pace.intervalMs) ?? new Pacer(pace.intervalMs);
  pacers.set(pace.intervalMs, pacer);
  pacer.add(new Stream(socket, pace, machineMs()));
}

createServer({ noDelay: true }, (socket) => {
  let received = '';
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').on('data', (piece: string) => {
    received += piece;
    for (;;) {
      const head = received.indexOf('\r\n\r\n');
      if (head < 0) return;
      const end = head + 4 + bodyLength(received.slice(0, head));
      if (received.length < end) return;
      answer(socket, received.slice(head + 4, end));
      received = received.slice(end);
    }
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
