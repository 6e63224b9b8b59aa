import { FieldNames } from '../http/field-names.ts';
import { knownFields, type RawHeaders, removeFields } from '../http/headers.ts';
import { type ErrorCode, isFinalError } from '../proxy/errors.ts';
import { isFinalReason, type ResumeDenial } from '../proxy/gave-up.ts';

/**
 * Fields by which SDKs that retry by themselves count their retries, and how many a value tells of: those that Stainless makes
 * (OpenAI, Anthropic and others), AWS's, Envoy in front of us, and gRPC (gRFC A6). Stripe's SDK does not count.
 */
const SIGNS: ReadonlyMap<string, (value: string) => number> = new Map([
  ['x-stainless-retry-count', count],
  ['amz-sdk-request', (value: string) => count(/\battempt=(\d+)/.exec(value)?.[1] ?? '') - 1],
  ['x-envoy-attempt-count', (value: string) => count(value) - 1],
  ['grpc-previous-rpc-attempts', count],
]);
const SIGN_NAMES = new FieldNames(SIGNS.keys());

/** More than this is nothing that an SDK does. */
const MOST_RETRIES = 1_000;

function count(value: string): number {
  return /^\d{1,4}$/.test(value) ? Math.min(Number(value), MOST_RETRIES) : 0;
}

/** How many times the client has already retried what it sends now, as far as it says; 0 for a first request. */
export function clientRetries(headers: RawHeaders): number {
  let most = 0;
  for (const [name, value] of knownFields(headers, SIGN_NAMES)) {
    most = Math.max(most, SIGNS.get(name)?.(value.trim()) ?? 0);
  }
  return most;
}

/**
 * Whether a failed call ends here for its client too. `gaveUp` and `error`: why there was no (other) attempt. `status`: of the last reply.
 * A long Retry-After of a 429 is about the client, which should not try. That of a 5xx is an estimate: the proxy makes no other
 * attempt, but the client may, as it would without a proxy.
 */
export function isFinal(gaveUp: ResumeDenial | undefined, error?: ErrorCode, status?: number): boolean {
  if (gaveUp === 'retry_after_too_long' && status !== 429) return false;
  return (gaveUp !== undefined && isFinalReason(gaveUp)) || (error !== undefined && isFinalError(error));
}

/** Tells SDKs not to retry, by `no` in each of `fields`: lower-case names; the upstream's own, which may say the opposite, give way. */
export function addVeto(headers: string[], fields: readonly string[], no = 'false'): void {
  removeFields(headers, fields);
  for (const field of fields) headers.push(field, no);
}
