import { headersOf, type RawHeaders, withoutFields } from './headers.ts';

/** The position of a request in a distributed trace (W3C Trace Context §3.2). */
export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0: the span of the sender. */
  readonly parentId: string;
  readonly sampled: boolean;
}

const FIELD = 'traceparent';
const TRACEPARENT = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** Later versions may append fields after the flags (§3.2.4), but none is known that is longer than this. */
const MAX_CHARACTERS = 256;

/**
 * The `traceparent` field of a request, unchecked. Undefined without one, if there are several (they contradict each other), or
 * if it is too long to be stored with its call.
 */
export function traceparentOf(headers: RawHeaders): string | undefined {
  const { 0: found, length } = headersOf(headers, FIELD);
  return length === 1 && (found as string).length <= MAX_CHARACTERS ? found : undefined;
}

/** Reads a `traceparent` field; undefined if it is not valid, and then the trace is ignored, as §4.3 demands. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, version, traceId, parentId, flags, rest] = TRACEPARENT.exec(text) ?? [];
  if (traceId === undefined || parentId === undefined || flags === undefined) return undefined;
  if (traceId === NO_TRACE || parentId === NO_SPAN) return undefined;
  // Version ff is invalid. Later versions may append fields after the flags (§3.2.4).
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  return { traceId, parentId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The `traceparent` of a sampled span. */
export const formatTraceparent = (traceId: string, spanId: string): string => `00-${traceId}-${spanId}-01`;

/**
 * The fields with another `traceparent`. `tracestate` stays only if the trace is that of the client, because it describes
 * positions in one trace (§4.3).
 */
export function withTraceparent(headers: RawHeaders, traceparent: string): string[] {
  const client = parseTraceparent(traceparentOf(headers) ?? '');
  const continued = client !== undefined && traceparent.startsWith(client.traceId, '00-'.length);
  const result = withoutFields(headers, (name) => name === FIELD || (name === 'tracestate' && !continued));
  result.push(FIELD, traceparent);
  return result;
}
