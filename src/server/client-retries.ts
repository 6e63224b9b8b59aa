import { FieldNames } from '../http/field-names.ts';
import { knownFields, type RawHeaders, removeFields } from '../http/headers.ts';
import { type ErrorCode, isFinalError } from '../proxy/errors.ts';
import { isFinalReason, type ResumeDenial } from '../proxy/gave-up.ts';

/**
 * Fields in which SDKs count their retries, and how to read the count. Sources: SDKs made by Stainless (OpenAI, Anthropic),
 * AWS SDKs, an Envoy in front of this proxy, and gRPC (gRFC A6). Stripe's SDK sends no count.
 */
const SIGNS: ReadonlyMap<string, (value: string) => number> = new Map([
  ['x-stainless-retry-count', count],
  ['amz-sdk-request', (value: string) => count(/\battempt=(\d+)/.exec(value)?.[1] ?? '') - 1],
  ['x-envoy-attempt-count', (value: string) => count(value) - 1],
  ['grpc-previous-rpc-attempts', count],
]);
const SIGN_NAMES = new FieldNames(SIGNS.keys());

/** A higher count is not plausible and is lowered to this. */
const MOST_RETRIES = 1_000;

function count(value: string): number {
  return /^\d{1,4}$/.test(value) ? Math.min(Number(value), MOST_RETRIES) : 0;
}

/** The number of retries that the client has made before this request, as it states; 0 if it states none. */
export function clientRetries(headers: RawHeaders): number {
  let most = 0;
  for (const [name, value] of knownFields(headers, SIGN_NAMES)) {
    most = Math.max(most, SIGNS.get(name)?.(value.trim()) ?? 0);
  }
  return most;
}

/**
 * Whether the client should not retry a failed call. `gaveUp` and `error`: why the proxy made no further attempt.
 * `status`: that of the last reply. A long Retry-After of a 429 applies to the client. That of a 5xx is an estimate: the
 * proxy stops, but the client may retry, as it would without a proxy.
 */
export function isFinal(gaveUp: ResumeDenial | undefined, error?: ErrorCode, status?: number): boolean {
  if (gaveUp === 'retry_after_too_long' && status !== 429) return false;
  return (gaveUp !== undefined && isFinalReason(gaveUp)) || (error !== undefined && isFinalError(error));
}

/** Sets each of `fields` (lower-case names) to `no`, so that SDKs do not retry. Replaces the upstream's own fields. */
export function addVeto(headers: string[], fields: readonly string[], no = 'false'): void {
  removeFields(headers, fields);
  for (const field of fields) headers.push(field, no);
}
