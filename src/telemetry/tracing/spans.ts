import { KNOWN_METHODS } from '../../http/methods.ts';
import type { AttemptEntry } from '../attempt-entry.ts';
import type { CallRecord } from '../call-record.ts';
import { withoutQuery } from '../call-log.ts';
import type { Attributes, CallTrace, TraceEvent } from './call-trace.ts';

/** One finished span, before the SDK encodes it. */
export interface SpanData {
  readonly kind: 'server' | 'client' | 'internal';
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first span of a trace. */
  readonly parentId: string | undefined;
  /** Wall-clock milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Attributes;
  /** The message of an error; undefined if the span did not fail. */
  readonly error: string | undefined;
  readonly events: readonly TraceEvent[];
  readonly link: { readonly traceId: string; readonly spanId: string } | undefined;
}

/** The public side of an upstream. */
export interface TraceTarget {
  /** Without secret parts. */
  readonly url: string;
  readonly address: string;
  readonly port: number;
}

export interface SpanContext {
  readonly targets: ReadonlyMap<string, TraceTarget>;
  /** The scheme that apps use. */
  readonly scheme: 'http' | 'https';
}

/**
 * The spans of a finished call: one for the call, and one for each attempt, which ends with its head. Names and attributes follow
 * the stable HTTP semantic conventions of OpenTelemetry 1.23 and later.
 */
export function spansOf(record: CallRecord, trace: CallTrace, context: SpanContext): SpanData[] {
  const attempts = record.entries.flatMap((entry, i) => {
    const spanId = trace.attempts[i];
    return spanId === undefined ? [] : [attemptSpan(entry, { record, trace, spanId, ...context })];
  });
  return [callSpan(record, trace, context), ...attempts];
}

function callSpan(record: CallRecord, trace: CallTrace, context: SpanContext): SpanData {
  const { parent, pattern, startedAt, submission } = trace.start;
  const errorType = callError(record);
  return {
    kind: pattern === undefined ? 'internal' : 'server',
    name: pattern === undefined ? durableName(record) : `${methodOf(record)} ${pattern}`,
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentId: parent?.parentId,
    startedAt,
    endedAt: startedAt + record.ms,
    attributes: known({
      ...methodAttributes(record),
      ...(pattern !== undefined && servedAttributes(record, trace, context)),
      ...ownAttributes(record),
      'http.response.status_code': record.status || undefined,
      'error.type': errorType,
    }),
    // The attribute has the status already.
    error: errorType === undefined ? undefined : (record.error ?? ''),
    events: trace.events,
    link: submission && { traceId: submission.traceId, spanId: submission.parentId },
  };
}

/** A 4xx is an error of the client, not of this server. */
function callError({ error, status }: CallRecord): string | undefined {
  return error ?? (status >= 500 ? String(status) : undefined);
}

function servedAttributes(record: CallRecord, trace: CallTrace, { scheme }: SpanContext) {
  return {
    'http.route': trace.start.pattern,
    'url.path': shownPath(record, trace),
    'url.scheme': scheme,
    'client.address': record.info.client,
  };
}

function ownAttributes({ info, outcome, origin, attempts, notes }: CallRecord) {
  return {
    'breakwater.request_id': info.id,
    'breakwater.upstream': info.upstream,
    'breakwater.route': info.route,
    'breakwater.client': info.clientName,
    'breakwater.outcome': outcome,
    'breakwater.origin': origin,
    'breakwater.attempts': attempts,
    'breakwater.gave_up': notes.gave_up,
  };
}

interface AttemptContext extends SpanContext {
  readonly record: CallRecord;
  readonly trace: CallTrace;
  readonly spanId: string;
}

function attemptSpan(entry: AttemptEntry, { record, trace, spanId, targets }: AttemptContext): SpanData {
  const { origin, pattern, startedAt } = trace.start;
  const upstream = entry.upstream ?? record.info.upstream;
  const target = targets.get(upstream) ?? targetOf(origin);
  // An attempt that is still under way was given up together with its call.
  const endMs = entry.ms === undefined ? record.ms : entry.atMs + entry.ms;
  const errorType = attemptError(entry);
  return {
    kind: 'client',
    name: pattern === undefined ? methodOf(record) : `${methodOf(record)} ${pattern}`,
    traceId: trace.traceId,
    spanId,
    parentId: trace.spanId,
    startedAt: startedAt + entry.atMs,
    endedAt: startedAt + endMs,
    attributes: known({
      ...methodAttributes(record),
      ...(target && targetAttributes(target, shownPath(record, trace))),
      'http.response.status_code': entry.status,
      'http.request.resend_count': entry.n - 1 || undefined,
      'error.type': errorType,
      'breakwater.upstream': upstream,
      'breakwater.attempt': entry.n,
      'breakwater.retry_reason': entry.reason,
    }),
    error: errorType === undefined ? undefined : (entry.detail ?? entry.error ?? ''),
    events: [],
    link: undefined,
  };
}

function attemptError({ error, status = 0 }: AttemptEntry): string | undefined {
  return error ?? (status >= 400 ? String(status) : undefined);
}

const targetAttributes = ({ address, port, url }: TraceTarget, path: string) => ({
  'server.address': address,
  'server.port': port,
  'url.full': `${url}${path}`,
});

/** Host and port of a URL, for spans. */
export function targetOf(url: string | undefined): TraceTarget | undefined {
  const parsed = url === undefined ? null : URL.parse(url);
  if (parsed === null || url === undefined) return undefined;
  const usual = parsed.protocol === 'https:' ? 443 : 80;
  return { url, address: parsed.hostname, port: parsed.port === '' ? usual : Number(parsed.port) };
}

/** A callback belongs to no upstream. */
const durableName = ({ info: { upstream, route } }: CallRecord): string =>
  `durable ${upstream === '' ? route : `${upstream}/${route}`}`;

/** Queries may contain secrets. */
const shownPath = ({ info }: CallRecord, { start }: CallTrace): string =>
  start.shownPath ?? withoutQuery(info.target);

const methodOf = ({ info }: CallRecord): string => (KNOWN_METHODS.has(info.method) ? info.method : 'HTTP');

function methodAttributes({ info: { method } }: CallRecord) {
  return KNOWN_METHODS.has(method)
    ? { 'http.request.method': method }
    : { 'http.request.method': '_OTHER', 'http.request.method_original': method };
}

/** Leaves out what is not known. */
function known(attributes: Readonly<Record<string, string | number | undefined>>): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) =>
      value === undefined || value === '' ? [] : [[name, value]],
    ),
  );
}
