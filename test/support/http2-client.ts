import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import { onTestFinished } from 'vitest';
import { CA } from './tls.ts';

export interface Http2Answer {
  readonly status: number;
  /** name, value, name, value … without pseudo-fields. */
  readonly fields: readonly string[];
  /** The head was the whole response. */
  readonly headOnly: boolean;
  readonly body: string;
  readonly trailers: readonly string[];
  /** The error code at the end of the stream: 0 for none. */
  readonly reset: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A connection by prior knowledge, or by TLS where the URL says so; closed when the test has finished. */
export function connectHttp2(url: string): ClientHttp2Session {
  const session = connect(url.replace('127.0.0.1', 'localhost'), { ca: CA });
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

/** One request and its results. A body of `null` leaves the stream open. */
export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders | readonly string[],
  body?: string | Buffer | null,
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (typeof body === 'string' || Buffer.isBuffer(body)) stream.end(body);
  return new Promise((resolve) => {
    let fields: string[] = [];
    let status = 0;
    let headOnly = false;
    let trailers: readonly string[] = [];
    const chunks: Buffer[] = [];
    stream.on('response', (got, flags, raw) => {
      status = Number(got[':status']);
      fields = raw.filter((_, i) => !raw[i - (i % 2)]?.startsWith(':'));
      headOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    });
    stream.on('trailers', (_got, _flags, raw) => {
      trailers = raw;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => undefined);
    stream.on('close', () => {
      const headers = Object.fromEntries(
        fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1] as string]] : [])),
      );
      const text = Buffer.concat(chunks).toString();
      resolve({ status, fields, headers, headOnly, body: text, trailers, reset: stream.rstCode ?? 0 });
    });
  });
}
