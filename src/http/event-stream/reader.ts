import { headerOf, type RawHeaders } from '../headers.ts';
import type { EventListener, EventReader } from './event.ts';
import { NdjsonReader } from './ndjson.ts';
import { SseReader } from './sse.ts';
import { decoderOf, UnpackedReader } from './unpacked.ts';

type MakeReader = (maxBytes: number, listener: EventListener) => EventReader;

const sse: MakeReader = (maxBytes, listener) => new SseReader(maxBytes, listener);
const ndjson: MakeReader = (maxBytes, listener) => new NdjsonReader(maxBytes, listener);

const READERS: ReadonlyMap<string, MakeReader> = new Map([
  ['text/event-stream', sse],
  ['application/x-ndjson', ndjson],
  ['application/ndjson', ndjson],
  ['application/jsonl', ndjson],
]);

/**
 * The reader for a body with these headers. Undefined if it is no event stream, or has a coding that is not supported. `maxBytes`:
 * the largest event that is reported with its data.
 */
export function eventReader(
  headers: RawHeaders,
  maxBytes: number,
  listener: EventListener,
): EventReader | undefined {
  const type = headerOf(headers, 'content-type');
  const make = type && READERS.get(type.replace(/;.*$/s, '').trim().toLowerCase());
  if (make === undefined || make === '') return undefined;
  const coding = headerOf(headers, 'content-encoding')?.trim().toLowerCase() ?? 'identity';
  if (coding === 'identity' || coding === '') return make(maxBytes, listener);
  const decoder = decoderOf(coding);
  return decoder && new UnpackedReader(decoder, make(maxBytes, listener), listener);
}
