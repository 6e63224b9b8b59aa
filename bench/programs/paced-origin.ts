import { createServer, type Socket } from 'node:net';
import { bodyLength, EVENT_END, paceOf } from '../streams/request.ts';

/**
 * An API that answers each request by a stream of events at a steady pace, the first of them at once. Each event has the moment at
 * which it was written. It reads and writes bare sockets, so that it takes little of the machine. `node paced-origin.ts PORT`.
 */
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

/** About as long as a chunk of a chat completion. */
const chunkOf = (content: string) =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_767_225_600,
    model: 'paced',
    choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
  })}${EVENT_END}`;

const [before = '', after = ''] = chunkOf('@').split('@');
/** Nanoseconds since the machine started: the same clock in all processes. */
const event = () => `${before}${process.hrtime.bigint()}${after}`;
const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

function answer(socket: Socket, body: string): void {
  const { events, intervalMs } = paceOf(body);
  let sent = 1;
  socket.write(HEAD + chunked(event()));
  const next = () => {
    if (sent++ < events) {
      socket.write(chunked(event()));
      return;
    }
    clearInterval(timer);
    socket.write(`${chunked(`data: [DONE]${EVENT_END}`)}0\r\n\r\n`);
  };
  const timer = setInterval(next, intervalMs);
  socket.once('close', () => clearInterval(timer));
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
