import { createRequire } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { HOP_BY_HOP } from '../lib/hop-by-hop.ts';

/**
 * The cost of a proxy without node:http and undici's client: HTTP/1.1 over node:net on both sides, parsed by llhttp,
 * which undici ships as WebAssembly. A prototype for a measurement: no policy, timeout, TLS, upgrade or pipelining.
 * `node raw-relay.ts PORT ORIGIN_PORT`. docs/decisions/own-http1.md has the result.
 */
const [port, originPort] = process.argv.slice(2).map(Number) as [number, number];

/** The part of WebAssembly used here, which Node's types do not declare. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(bytes: number): number;
  llhttp_alloc(type: number): number;
  llhttp_execute(parser: number, at: number, bytes: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_method_name(method: number): number;
}

const REQUEST = 1;
const RESPONSE = 2;
const BUFFER_BYTES = 64 * 1024;

/** The parser that uses the shared buffer now. Parsing is synchronous. */
let current: Parser;
let chunk: Buffer;

const wasm = createRequire(import.meta.url)('undici/lib/llhttp/llhttp_simd-wasm.js') as Uint8Array;
const text = (at: number, bytes: number): string =>
  chunk.toString('latin1', at - bufferAt, at - bufferAt + bytes);
const { Instance, Module } = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly;
const llhttp = new Instance(new Module(wasm), {
  env: {
    wasm_on_message_begin: () => 0,
    wasm_on_url: (_: number, at: number, bytes: number) => {
      current.url += text(at, bytes);
      return 0;
    },
    wasm_on_status: (_: number, at: number, bytes: number) => {
      current.statusText += text(at, bytes);
      return 0;
    },
    wasm_on_header_field: (_: number, at: number, bytes: number) => {
      current.onField(text(at, bytes));
      return 0;
    },
    wasm_on_header_value: (_: number, at: number, bytes: number) => {
      current.onValue(text(at, bytes));
      return 0;
    },
    wasm_on_headers_complete: (_: number, status: number, _upgrade: number, keepAlive: number) => {
      current.onHead(status, keepAlive === 1);
      return 0;
    },
    wasm_on_body: (_: number, at: number, bytes: number) => {
      current.owner.onBody(chunk.subarray(at - bufferAt, at - bufferAt + bytes));
      return 0;
    },
    wasm_on_message_complete: () => {
      current.owner.onEnd();
      return 0;
    },
  },
}).exports as unknown as Llhttp;
llhttp._initialize();
const bufferAt = llhttp.malloc(BUFFER_BYTES);

interface Owner {
  onHead(head: Parser, keepAlive: boolean): void;
  onBody(bytes: Buffer): void;
  onEnd(): void;
}

class Parser {
  owner: Owner;
  url = '';
  status = 0;
  statusText = '';
  /** The head to forward, without its first line. */
  fields = '';
  length: string | undefined;
  chunked = false;
  readonly #ptr: number;
  #name = '';
  #value = '';
  #inValue = false;

  constructor(type: number, owner: Owner) {
    this.owner = owner;
    this.#ptr = llhttp.llhttp_alloc(type);
  }

  get method(): string {
    const at = llhttp.llhttp_method_name(llhttp.llhttp_get_method(this.#ptr));
    const memory = Buffer.from(llhttp.memory.buffer, at, 32);
    return memory.toString('latin1', 0, memory.indexOf(0));
  }

  execute(bytes: Buffer): boolean {
    for (let from = 0; from < bytes.length; from += BUFFER_BYTES) {
      const part = bytes.length <= BUFFER_BYTES ? bytes : bytes.subarray(from, from + BUFFER_BYTES);
      new Uint8Array(llhttp.memory.buffer).set(part, bufferAt);
      parseFor(this, part);
      if (llhttp.llhttp_execute(this.#ptr, bufferAt, part.length) !== 0) return false;
    }
    return true;
  }

  onField(part: string): void {
    if (this.#inValue) this.#close();
    this.#name += part;
  }

  onValue(part: string): void {
    this.#inValue = true;
    this.#value += part;
  }

  onHead(status: number, keepAlive: boolean): void {
    if (this.#inValue) this.#close();
    this.status = status;
    this.owner.onHead(this, keepAlive);
    this.url = this.statusText = this.fields = '';
    this.length = undefined;
    this.chunked = false;
  }

  #close(): void {
    const lower = this.#name.toLowerCase();
    if (lower === 'transfer-encoding') this.chunked = true;
    else if (lower === 'content-length') this.length = this.#value;
    if (!HOP_BY_HOP.has(lower)) this.fields += `${this.#name}: ${this.#value}\r\n`;
    this.#name = this.#value = '';
    this.#inValue = false;
  }
}

function parseFor(parser: Parser, part: Buffer): void {
  current = parser;
  chunk = part;
}

/** A connection to the origin, for one exchange at a time. */
class Upstream implements Owner {
  readonly socket: Socket = connect(originPort, '127.0.0.1');
  client: Client | undefined;
  readonly #parser = new Parser(RESPONSE, this);
  #chunked = false;
  #reusable = true;

  constructor() {
    this.socket.setNoDelay(true);
    this.socket.on('data', (bytes: Buffer) => {
      const client = this.client?.socket;
      // One packet in, one write out.
      client?.cork();
      if (!this.#parser.execute(bytes)) this.socket.destroy();
      client?.uncork();
    });
    this.socket.on('drain', () => this.client?.socket.resume());
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      const at = idle.indexOf(this);
      if (at >= 0) idle.splice(at, 1);
      this.client?.socket.destroy();
    });
  }

  onHead({ status, statusText, fields, length, chunked }: Parser, keepAlive: boolean): void {
    this.#reusable = keepAlive;
    this.#chunked = chunked;
    const framing = chunked ? 'transfer-encoding: chunked\r\n' : '';
    const none = !chunked && length === undefined ? 'content-length: 0\r\n' : '';
    this.client?.write(`HTTP/1.1 ${status} ${statusText}\r\n${fields}${framing}${none}\r\n`, this);
  }

  onBody(bytes: Buffer): void {
    const { client } = this;
    if (client === undefined) return;
    if (this.#chunked) client.write(`${bytes.length.toString(16)}\r\n`, this);
    client.write(bytes, this);
    if (this.#chunked) client.write('\r\n', this);
  }

  onEnd(): void {
    const { client } = this;
    if (this.#chunked) client?.write('0\r\n\r\n', this);
    this.client = undefined;
    client?.finished();
    if (this.#reusable) idle.push(this);
    else this.socket.end();
  }
}

const idle: Upstream[] = [];

class Client implements Owner {
  readonly socket: Socket;
  readonly #parser = new Parser(REQUEST, this);
  #upstream: Upstream | undefined;
  #chunked = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      if (!this.#parser.execute(bytes)) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
    });
    socket.on('drain', () => this.#upstream?.socket.resume());
    socket.on('error', () => undefined);
    socket.on('close', () => this.#upstream?.socket.destroy());
  }

  onHead(head: Parser): void {
    const upstream = idle.pop() ?? new Upstream();
    this.#upstream = upstream;
    upstream.client = this;
    this.#chunked = head.chunked;
    const framing = head.chunked ? 'transfer-encoding: chunked\r\n' : '';
    upstream.socket.write(`${head.method} ${head.url} HTTP/1.1\r\n${head.fields}${framing}\r\n`, 'latin1');
  }

  onBody(bytes: Buffer): void {
    const socket = this.#upstream?.socket;
    if (socket === undefined) return;
    // Queued bytes are copied, because the next chunk may be read into the same memory.
    if (this.#chunked) socket.write(`${bytes.length.toString(16)}\r\n`);
    if (!socket.write(bytes)) this.socket.pause();
    if (this.#chunked) socket.write('\r\n');
  }

  onEnd(): void {
    if (this.#chunked) this.#upstream?.socket.write('0\r\n\r\n');
  }

  write(bytes: Buffer | string, from: Upstream): void {
    const more = typeof bytes === 'string' ? this.socket.write(bytes, 'latin1') : this.socket.write(bytes);
    if (!more) from.socket.pause();
  }

  finished(): void {
    this.#upstream = undefined;
  }
}

createServer((socket) => void new Client(socket)).listen(port, '127.0.0.1');
