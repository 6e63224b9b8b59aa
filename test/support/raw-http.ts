/** One HTTP/1.1 message, framed by a parser that shares no code with the proxy. */
export interface RawMessage {
  /** `GET / HTTP/1.1` or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** name, value, name, value … as on the wire. */
  readonly rawHeaders: readonly string[];
  /** Without chunk framing. */
  readonly body: Buffer;
  /** The message as received. */
  readonly bytes: Buffer;
}

export interface RawHead {
  readonly startLine: string;
  readonly rawHeaders: readonly string[];
}

type Framing =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until_close' };

/** Splits a byte stream into messages, independent of its chunks. */
export class MessageReader {
  #pending: Buffer = Buffer.alloc(0);
  #head: { readonly head: RawHead; readonly end: number; readonly framing: Framing } | undefined;
  readonly #framingOf: (head: RawHead) => Framing;

  constructor(framingOf: (head: RawHead) => Framing) {
    this.#framingOf = framingOf;
  }

  /** The head of the message that is still incomplete. */
  get head(): RawHead | undefined {
    return this.#head?.head;
  }

  /** Bytes of the message that is still incomplete. */
  get pending(): Buffer {
    return this.#pending;
  }

  push(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#parseHead();
  }

  /** The next complete message; `closed` says that no byte will follow, which completes one framed by the close. */
  take(closed = false): RawMessage | undefined {
    if (this.#head === undefined) return undefined;
    const { head, end: start, framing } = this.#head;
    const found = bodyIn(this.#pending, start, framing, closed);
    if (found === undefined) return undefined;
    const bytes = this.#pending.subarray(0, found.end);
    this.#pending = this.#pending.subarray(found.end);
    this.#head = undefined;
    this.#parseHead();
    return { ...head, body: found.body, bytes };
  }

  #parseHead(): void {
    if (this.#head !== undefined) return;
    const blank = this.#pending.indexOf('\r\n\r\n');
    if (blank < 0) return;
    const [startLine = '', ...lines] = this.#pending.toString('latin1', 0, blank).split('\r\n');
    const rawHeaders = lines.flatMap((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    const head = { startLine, rawHeaders };
    this.#head = { head, end: blank + 4, framing: this.#framingOf(head) };
  }
}

export function requestFraming(head: RawHead): Framing {
  return declaredFraming(head) ?? { kind: 'length', bytes: 0 };
}

/** RFC 9112 §6.3 for the reply to `method`. */
export function replyFraming(head: RawHead, method: string): Framing {
  const status = statusIn(head);
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304)
    return { kind: 'length', bytes: 0 };
  return declaredFraming(head) ?? { kind: 'until_close' };
}

/** 0 where there is none. */
export function statusIn(head: RawHead): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(head.startLine)?.[1] ?? 0);
}

/** The first value of `name` in lower case. */
export function rawHeader(head: RawHead, name: string): string | undefined {
  const at = head.rawHeaders.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
  return at < 0 ? undefined : head.rawHeaders[at + 1];
}

function declaredFraming(head: RawHead): Framing | undefined {
  if (/chunked\s*$/i.test(rawHeader(head, 'transfer-encoding') ?? '')) return { kind: 'chunked' };
  const length = rawHeader(head, 'content-length');
  return length === undefined ? undefined : { kind: 'length', bytes: Number(length) };
}

function bodyIn(
  bytes: Buffer,
  start: number,
  framing: Framing,
  closed: boolean,
): { readonly body: Buffer; readonly end: number } | undefined {
  if (framing.kind === 'chunked') return chunkedBody(bytes, start);
  if (framing.kind === 'until_close')
    return closed ? { body: bytes.subarray(start), end: bytes.length } : undefined;
  const end = start + framing.bytes;
  return bytes.length < end ? undefined : { body: bytes.subarray(start, end), end };
}

function chunkedBody(
  bytes: Buffer,
  start: number,
): { readonly body: Buffer; readonly end: number } | undefined {
  const parts: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return undefined;
    parts.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  // Trailers end with an empty line; without any that line follows at once.
  const end = bytes.indexOf('\r\n', at) === at ? at + 2 : bytes.indexOf('\r\n\r\n', at) + 4;
  return end < at + 2 ? undefined : { body: Buffer.concat(parts), end };
}
