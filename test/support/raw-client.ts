import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { Changes } from './changes.ts';
import { MessageReader, type RawHead, replyFraming, statusIn } from './raw-http.ts';

export interface RawReply {
  readonly status: number;
  readonly startLine: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** Interim replies (1xx) before it. */
  readonly informational: readonly RawHead[];
}

/** The end of the connection. `fin`: the other side closed it normally. `reset`: it did not. */
export type ConnectionEnd = 'fin' | 'reset' | 'aborted';

/** A client for raw bytes, to send invalid requests and to check the exact replies. */
export interface RawClient {
  readonly socket: Socket;
  /** Everything received so far. */
  readonly received: Buffer;
  /** Undefined while the connection is open. */
  readonly end: ConnectionEnd | undefined;
  /** Resolves once the bytes are with the kernel. */
  send(bytes: string | Buffer): Promise<void>;
  /** Resolves with the head of the next final reply, leaving its body. */
  untilHead(): Promise<RawHead>;
  /** Resolves with the next final reply, whole; rejects if the connection ends before. */
  readReply(): Promise<RawReply>;
  /** Resolves with everything once at least `count` bytes are here. */
  untilBytes(count: number): Promise<Buffer>;
  /** Resolves once `text` is among the bytes received; for bodies that come event by event. */
  untilText(text: string): Promise<void>;
  untilClosed(): Promise<ConnectionEnd>;
  /** Sends FIN and goes on reading. */
  halfClose(): void;
  /** Disconnects at once, with a reset. */
  abort(): void;
}

/** Connects to `port` on loopback. Closed automatically at the end of the test. */
export async function connectRaw(port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve();
    });
  });
  const client = new SocketClient(socket);
  onTestFinished(() => client.abort());
  return client;
}

class SocketClient implements RawClient {
  readonly socket: Socket;
  readonly #changes = new Changes();
  readonly #chunks: Buffer[] = [];
  readonly #reader: MessageReader;
  /** Methods of requests without a reply head yet, which decide whether the reply has a body. */
  readonly #methods: string[] = [];
  readonly #replies: RawReply[] = [];
  #informational: RawHead[] = [];
  #end: ConnectionEnd | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    this.#reader = new MessageReader((head) =>
      replyFraming(head, statusIn(head) < 200 ? 'GET' : (this.#methods.shift() ?? 'GET')),
    );
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#reader.push(chunk);
      this.#takeReplies();
    });
    socket.on('end', () => this.#finish('fin'));
    socket.on('error', () => this.#finish('reset'));
    socket.on('close', () => this.#finish('reset'));
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get end(): ConnectionEnd | undefined {
    return this.#end;
  }

  send(bytes: string | Buffer): Promise<void> {
    const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    for (const [, method = ''] of data.toString('latin1').matchAll(/^([A-Z]+) \S+ HTTP\/1\.[01]\r$/gm)) {
      this.#methods.push(method);
    }
    return new Promise((resolve, reject) => {
      this.socket.write(data, (error) => (error === undefined || error === null ? resolve() : reject(error)));
    });
  }

  async untilHead(): Promise<RawHead> {
    const final = () => {
      const head = this.#reader.head;
      return this.#replies[0] ?? (head !== undefined && statusIn(head) >= 200 ? head : undefined);
    };
    await this.#changes.until(() => final() !== undefined || this.#end !== undefined);
    return final() ?? this.#fail('no head');
  }

  async readReply(): Promise<RawReply> {
    await this.#changes.until(() => this.#replies.length > 0 || this.#end !== undefined);
    return this.#replies.shift() ?? this.#fail('no whole reply');
  }

  async untilBytes(count: number): Promise<Buffer> {
    await this.#changes.until(() => this.received.length >= count || this.#end !== undefined);
    if (this.received.length < count) this.#fail(`fewer than ${count} bytes`);
    return this.received;
  }

  async untilText(text: string): Promise<void> {
    await this.#changes.until(() => this.received.includes(text) || this.#end !== undefined);
    if (!this.received.includes(text)) this.#fail(`never saw ${JSON.stringify(text)}`);
  }

  async untilClosed(): Promise<ConnectionEnd> {
    await this.#changes.until(() => this.#end !== undefined);
    return this.#end as ConnectionEnd;
  }

  halfClose(): void {
    this.socket.end();
  }

  abort(): void {
    this.#finish('aborted');
    this.socket.resetAndDestroy();
  }

  #takeReplies(): void {
    for (;;) {
      const message = this.#reader.take(this.#end === 'fin');
      if (message === undefined) break;
      if (statusIn(message) < 200) this.#informational.push(message);
      else {
        this.#replies.push({ ...message, status: statusIn(message), informational: this.#informational });
        this.#informational = [];
      }
    }
    this.#changes.notify();
  }

  #finish(end: ConnectionEnd): void {
    this.#end ??= end;
    this.#takeReplies();
  }

  #fail(what: string): never {
    const pending = JSON.stringify(this.#reader.pending.toString('latin1', 0, 200));
    throw new Error(`${what}: the connection ended by ${this.#end}, pending ${pending}`);
  }
}
