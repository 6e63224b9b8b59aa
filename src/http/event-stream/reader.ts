import { headerOf, type RawHeaders } from '../headers.ts';
import { AwsEventReader } from './aws.ts';
import { remembered } from '../../runtime/remembered.ts';
import type { EventListener, EventReader } from './event.ts';
import { NdjsonReader } from './ndjson.ts';
import { SseReader } from './sse.ts';
import { decoderOf, hasDecoder, UnpackedReader } from './unpacked.ts';

type MakeReader = (maxBytes: number, listener: EventListener) => EventReader;

const sse: MakeReader = (maxBytes, listener) => new SseReader(maxBytes, listener);
const ndjson: MakeReader = (maxBytes, listener) => new NdjsonReader(maxBytes, listener);

const READERS: ReadonlyMap<string, MakeReader> = new Map([
  ['text/event-stream', sse],
  ['application/x-ndjson', ndjson],
  ['application/ndjson', ndjson],
  ['application/jsonl', ndjson],
  ['application/vnd.amazon.eventstream', (maxBytes, listener) => new AwsEventReader(maxBytes, listener)],
]);

/** How to read a body: its format and, if it is compressed, its content coding. */
interface Format {
  readonly make: MakeReader;
  readonly coding: string;
}

const NO_FORMAT = { make: undefined };

const formatOfType = remembered((type): { readonly make: MakeReader | undefined } => {
  const make = READERS.get(type.replace(/;.*$/s, '').trim().toLowerCase());
  return make === undefined ? NO_FORMAT : { make };
});

function formatOf(headers: RawHeaders): Format | undefined {
  const type = headerOf(headers, 'content-type');
  const { make } = type === undefined ? NO_FORMAT : formatOfType(type);
  if (make === undefined) return undefined;
  const coding = headerOf(headers, 'content-encoding')?.trim().toLowerCase() ?? '';
  return isIdentity(coding) || hasDecoder(coding) ? { make, coding } : undefined;
}

const isIdentity = (coding: string): boolean => coding === '' || coding === 'identity';

/** Whether `eventReader` can read a body with these headers. */
export const isEventStream = (headers: RawHeaders): boolean => formatOf(headers) !== undefined;

/**
 * The reader for a body with these headers; undefined if it is no event stream, or has a coding that is not supported. `maxBytes`:
 * the largest event that is reported with its data.
 */
export function eventReader(
  headers: RawHeaders,
  maxBytes: number,
  listener: EventListener,
): EventReader | undefined {
  const format = formatOf(headers);
  if (format === undefined) return undefined;
  const reader = format.make(maxBytes, listener);
  return isIdentity(format.coding) ? reader : new UnpackedReader(decoderOf(format.coding), reader, listener);
}
