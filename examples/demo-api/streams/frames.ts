import { constants, createGzip, type Gzip } from 'node:zlib';
import type { StreamApi, StreamEvent } from './api.ts';

/** The ways in which a stream's bytes can be unusual. All of them are valid. */
export const FORMS = ['bom', 'bytes', 'comments', 'cr', 'crlf', 'gzip', 'large', 'lines', 'pings'] as const;
export type Form = (typeof FORMS)[number];
export type Forms = ReadonlySet<Form>;

const BOM = '\uFEFF';

/** The bytes of an event, as text. https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
export function framed(api: StreamApi, { name, id, data }: StreamEvent, forms: Forms): string {
  if (api.lines === true) return `${data}${lineEnd(forms)}`;
  const fields = [
    ...(name === undefined ? [] : [`event: ${name}`]),
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...spread(data, forms).map((line) => `data: ${line}`),
  ];
  return [...fields, '', ''].join(lineEnd(forms));
}

/** A line that says nothing: a comment, or an empty line of NDJSON. */
export const comment = (api: StreamApi, forms: Forms) =>
  (api.lines === true ? '' : ': still here') + lineEnd(forms).repeat(api.lines === true ? 1 : 2);

export const prefix = (forms: Forms) => (forms.has('bom') ? BOM : '');

const lineEnd = (forms: Forms) => (forms.has('crlf') ? '\r\n' : forms.has('cr') ? '\r' : '\n');

/** The same JSON on several lines, so that the event has several fields `data`. */
function spread(data: string, forms: Forms): readonly string[] {
  if (!forms.has('lines') || !data.startsWith('{')) return [data];
  return JSON.stringify(JSON.parse(data), undefined, 1).split('\n');
}

/** Turns text into the bytes of the body. Undefined as text is its end. */
export type Pack = (text: string | undefined) => Promise<Buffer>;

export function packer(forms: Forms): Pack {
  if (!forms.has('gzip')) return (text) => Promise.resolve(Buffer.from(text ?? ''));
  const gzip = createGzip();
  return (text) => (text === undefined ? finished(gzip) : flushed(gzip, text));
}

/** Each event is flushed: a reader can unpack it before the next one comes. */
function flushed(gzip: Gzip, text: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gzip.once('error', reject);
    gzip.write(text);
    gzip.flush(constants.Z_SYNC_FLUSH, () => {
      gzip.off('error', reject);
      resolve(drained(gzip));
    });
  });
}

function finished(gzip: Gzip): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const rest: Buffer[] = [];
    gzip.once('error', reject);
    gzip.on('data', (chunk: Buffer) => rest.push(chunk));
    gzip.once('end', () => resolve(Buffer.concat(rest)));
    gzip.end();
  });
}

function drained(gzip: Gzip): Buffer {
  const chunks: Buffer[] = [];
  for (let chunk = gzip.read() as Buffer | null; chunk !== null; chunk = gzip.read() as Buffer | null) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
