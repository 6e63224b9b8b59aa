import { headerOf, type RawHeaders, withoutFields } from './headers.ts';

/** gRPC's status codes but OK, by number from 1, each with the HTTP status that it stands for (google/rpc/code.proto). */
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

/** By name, in the order of their numbers; OK is none of them. */
export const GRPC_STATUSES: readonly GrpcStatus[] = CODES.map(([name]) => name);

/** What the proxy knows of a call that is gRPC. */
export interface GrpcCall {
  /** When its client stops waiting (`grpc-timeout`), on the scale of the clock; undefined: it does not say. */
  readonly deadline: number | undefined;
}

export const grpcNumber = (status: GrpcStatus): number => GRPC_STATUSES.indexOf(status) + 1;

/** The HTTP status that stands for it. */
export const httpStatusOf = (status: GrpcStatus): number => CODES[grpcNumber(status) - 1]?.[1] ?? 500;

/** Whether a request is gRPC by its content type; gRPC-Web, which has its trailers in the body, is not. */
export function isGrpc(headers: RawHeaders): boolean {
  const type = headerOf(headers, 'content-type')?.toLowerCase();
  return type !== undefined && /^application\/grpc(?:[+; ]|$)/.test(type);
}

/** The status among `fields`, a head's or trailers'; undefined for OK and where there is none. Numbers of no code are UNKNOWN. */
export function grpcStatusOf(fields: RawHeaders): GrpcStatus | undefined {
  const value = headerOf(fields, 'grpc-status');
  if (value === undefined || value === '0') return undefined;
  return CODES[Number(value) - 1]?.[0] ?? 'unknown';
}

/** A server that asks not to be asked again: a pushback that is negative or nonsense (gRFC A6). */
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

/** The client's patience in milliseconds; undefined where it is not told, or not in gRPC's way. */
export function grpcTimeoutMs(headers: RawHeaders): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(headerOf(headers, 'grpc-timeout') ?? '') ?? [];
  return digits === undefined || unit === undefined ? undefined : Number(digits) * (UNIT_MS.get(unit) ?? 0);
}

/** What a further attempt is sent with: how many came before it (the client's own too), and the time that is left. */
export function furtherAttempt(
  headers: RawHeaders,
  { deadline }: GrpcCall,
  { attempt, now }: { attempt: number; now: number },
): RawHeaders {
  const before = Number(headerOf(headers, 'grpc-previous-rpc-attempts') ?? 0) || 0;
  const ours = new Set(['grpc-previous-rpc-attempts', ...(deadline === undefined ? [] : ['grpc-timeout'])]);
  const kept = withoutFields(headers, (name) => ours.has(name));
  kept.push('grpc-previous-rpc-attempts', String(before + attempt - 1));
  if (deadline !== undefined) kept.push('grpc-timeout', shownTimeout(deadline - now));
  return kept;
}

/** At most eight digits. */
function shownTimeout(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  return whole < 1e8 ? `${whole}m` : `${Math.min(99_999_999, Math.ceil(whole / 1_000))}S`;
}

/** Text as `grpc-message` carries it: printable ASCII but `%`, all else as its bytes of UTF-8. */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]+/g, (piece) =>
    [...Buffer.from(piece)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
