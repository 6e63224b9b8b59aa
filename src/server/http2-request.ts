import type { ServerHttp2Stream } from 'node:http2';
import { isGrpc } from '../http/grpc.ts';
import { type Field, fieldPairs } from '../http/headers.ts';
import type { ClientConnection, ClientRequest } from './client.ts';
import { joinWhilePaused } from './joined-while-paused.ts';

/** A request on an HTTP/2 stream, in the form of HTTP/1.1. The stream also acts as its connection. */
export class Http2Request implements ClientRequest, ClientConnection {
  readonly httpVersion = '2';
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly grpc: boolean;
  readonly remoteAddress: string | undefined;
  bytesRead = 0;
  readonly #stream: ServerHttp2Stream;
  #complete: boolean;

  constructor(stream: ServerHttp2Stream, raw: readonly string[], remoteAddress: string | undefined) {
    const { method, path, fields } = toHttp1(raw, stream.endAfterHeaders);
    this.method = method;
    this.url = path;
    this.rawHeaders = fields;
    this.grpc = isGrpc(fields);
    this.remoteAddress = remoteAddress;
    this.#stream = stream;
    this.#complete = stream.endAfterHeaders;
    joinWhilePaused(stream);
    // node:http2 emits 'end' also for a truncated body.
    stream.on('end', () => {
      this.#complete = !stream.aborted && stream.rstCode === 0;
    });
  }

  get complete(): boolean {
    return this.#complete;
  }

  get destroyed(): boolean {
    return this.#stream.destroyed;
  }

  get writable(): boolean {
    return !this.#stream.destroyed;
  }

  get socket(): ClientConnection {
    return this;
  }

  isPaused(): boolean {
    return this.#stream.isPaused();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  on(event: string, listener: (chunk: Buffer) => void): unknown {
    if (event !== 'data') return this.#listen(event, listener as () => void);
    return this.#stream.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      listener(chunk);
    });
  }

  #listen(event: string, listener: () => void): unknown {
    if (event !== 'end') return this.#stream.on(event, listener);
    return this.#stream.on('end', () => {
      if (this.#complete) listener();
    });
  }

  once(event: 'close', listener: () => void): unknown {
    return this.#stream.once(event, listener);
  }

  off(event: 'close', listener: () => void): unknown {
    return this.#stream.off(event, listener);
  }
}

interface Http1Head {
  readonly method: string;
  readonly path: string;
  readonly fields: string[];
}

/**
 * Converts a head to HTTP/1.1. Pseudo-fields become method, path and Host. An authority that contradicts `Host` becomes a
 * second Host, which is refused (RFC 9113 §8.3.1). Cookie fields are joined (§8.2.3). A body of unknown length is chunked.
 */
function toHttp1(raw: readonly string[], bodyless: boolean): Http1Head {
  const { pseudo, regular } = split(raw);
  const authority = pseudo.get(':authority');
  const others = regular.filter(([name, value]) => name !== 'host' || value !== authority);
  const fields = joinCookies(others).flat();
  if (authority !== undefined) fields.push('host', authority);
  const lengthKnown = bodyless || regular.some(([name]) => name === 'content-length');
  if (!lengthKnown) fields.push('transfer-encoding', 'chunked');
  return { method: pseudo.get(':method') ?? '', path: pseudo.get(':path') ?? '', fields };
}

function split(raw: readonly string[]): { pseudo: ReadonlyMap<string, string>; regular: readonly Field[] } {
  const pseudo = new Map<string, string>();
  const regular: Field[] = [];
  for (const field of fieldPairs(raw)) {
    if (field[0].startsWith(':')) pseudo.set(...field);
    else regular.push(field);
  }
  return { pseudo, regular };
}

function joinCookies(fields: readonly Field[]): readonly Field[] {
  const crumbs = fields.filter(([name]) => name === 'cookie');
  const [first] = crumbs;
  if (first === undefined || crumbs.length === 1) return fields;
  const whole: Field = ['cookie', crumbs.map(([, value]) => value).join('; ')];
  return fields.flatMap((field) => {
    if (field === first) return [whole];
    return field[0] === 'cookie' ? [] : [field];
  });
}
