import { headerOf, type RawHeaders, withoutFields } from './headers.ts';

/** gRPC status codes from 1 (OK is 0), each with the equivalent HTTP status (google/rpc/code.proto). */
const CODES = [
  ['cancelled', 499],
  ['unknown', 500],
  ['invalid_argument', 400],
  ['deadline_exceeded', 504],
  ['not_found', 404],
  ['already_exists', 409],
  ['permission_denied', 403],
  ['resource_exhausted', 429],
  ['failed_precondition', 400],
  ['aborted', 409],
  ['out_of_range', 400],
  ['unimplemented', 501],
  ['internal', 500],
  ['unavailable', 503],
  ['data_loss', 500],
  ['unauthenticated', 401],
] as const;

export type GrpcStatus = (typeof CODES)[number][0];

/** Names of error codes in the order of their numbers, without OK. */
export const GRPC_STATUSES: readonly GrpcStatus[] = CODES.map(([name]) => name);

/** Properties of a gRPC call. */
export interface GrpcCall {
  /** The time when its client stops waiting (`grpc-timeout`), on the scale of the clock; undefined if not stated. */
  readonly deadline: number | undefined;
}

export const grpcNumber = (status: GrpcStatus): number => GRPC_STATUSES.indexOf(status) + 1;

/** The equivalent HTTP status. */
export const httpStatusOf = (status: GrpcStatus): number => CODES[grpcNumber(status) - 1]?.[1] ?? 500;

/** Whether the content type is that of gRPC. gRPC-Web, which has its trailers in the body, does not count. */
export function isGrpc(headers: RawHeaders): boolean {
  const type = headerOf(headers, 'content-type')?.toLowerCase();
  return type !== undefined && /^application\/grpc(?:[+; ]|$)/.test(type);
}

/** The error status in a head or trailers; undefined for OK or none. An unassigned number is UNKNOWN. */
export function grpcStatusOf(fields: RawHeaders): GrpcStatus | undefined {
  const value = headerOf(fields, 'grpc-status');
  if (value === undefined || value === '0') return undefined;
  return CODES[Number(value) - 1]?.[0] ?? 'unknown';
}

/** Whether the server forbids a retry: its pushback is negative or not a number (gRFC A6). */
export function forbidsRetry(headers: RawHeaders): boolean {
  const pushback = headerOf(headers, 'grpc-retry-pushback-ms');
  return pushback !== undefined && !/^\d+$/.test(pushback.trim());
}

const UNIT_MS: ReadonlyMap<string, number> = new Map(
  Object.entries<number>({
    H: 3_600_000,
    M: 60_000,
    S: 1_000,
    m: 1,
    u: 0.001,
    n: 0.000_001,
  }),
);

/** The value of `grpc-timeout` in milliseconds; undefined if absent or invalid. */
export function grpcTimeoutMs(headers: RawHeaders): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(headerOf(headers, 'grpc-timeout') ?? '') ?? [];
  return digits === undefined || unit === undefined ? undefined : Number(digits) * (UNIT_MS.get(unit) ?? 0);
}

/** The headers of a further attempt: with the number of earlier attempts (the client's included) and the remaining time. */
export function furtherAttempt(
  headers: RawHeaders,
  { deadline }: GrpcCall,
  { attempt, now }: { attempt: number; now: number },
): RawHeaders {
  const before = Number(headerOf(headers, 'grpc-previous-rpc-attempts') ?? 0) || 0;
  const ours = new Set(['grpc-previous-rpc-attempts', ...(deadline === undefined ? [] : ['grpc-timeout'])]);
  const result = withoutFields(headers, (name) => ours.has(name));
  result.push('grpc-previous-rpc-attempts', String(before + attempt - 1));
  if (deadline !== undefined) result.push('grpc-timeout', formatTimeout(deadline - now));
  return result;
}

/** A value for `grpc-timeout`, which has at most eight digits. */
function formatTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole < 1e8 ? `${whole}m` : `${Math.min(99_999_999, Math.ceil(whole / 1_000))}S`;
}

/** Encodes text for `grpc-message`: printable ASCII except `%` is unchanged, other text is percent-encoded UTF-8. */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, (piece) =>
    [...Buffer.from(piece)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
