import type { RawHeaders } from '../http/headers.ts';
import { type ErrorCode, isFinalError } from '../proxy/errors.ts';
import { isFinalReason, type ResumeDenial } from '../proxy/gave-up.ts';

/** A field by which a client says that it has sent this before, and how many retries its value tells of. */
interface Sign {
  /** Lower-case. */
  readonly name: string;
  readonly retriesIn: (value: string) => number;
}

/**
 * Known to be sent by the SDKs that retry by themselves: those that Stainless makes (OpenAI, Anthropic and others), AWS's, Envoy
 * in front of us, and gRPC (gRFC A6). Stripe's SDK says nothing of it.
 */
const SIGNS: readonly Sign[] = [
  { name: 'x-stainless-retry-count', retriesIn: count },
  { name: 'amz-sdk-request', retriesIn: (value) => count(/\battempt=(\d+)/.exec(value)?.[1] ?? '') - 1 },
  { name: 'x-envoy-attempt-count', retriesIn: (value) => count(value) - 1 },
  { name: 'grpc-previous-rpc-attempts', retriesIn: count },
];

/** More than this is nothing that an SDK does. */
const MOST_RETRIES = 1_000;

function count(value: string): number {
  return /^\d{1,4}$/.test(value) ? Math.min(Number(value), MOST_RETRIES) : 0;
}

/** How many times the client has already retried what it sends now, as far as it says; 0 for a first request. */
export function clientRetries(headers: RawHeaders): number {
  let most = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    for (const sign of SIGNS) {
      if (name.length !== sign.name.length || name.toLowerCase() !== sign.name) continue;
      most = Math.max(most, sign.retriesIn((headers[i + 1] as string).trim()));
    }
  }
  return most;
}

/** Whether a failed call ends here for its client too. `gaveUp` and `error`: why there was no (other) attempt. */
export function isFinal(gaveUp: ResumeDenial | undefined, error?: ErrorCode): boolean {
  return (gaveUp !== undefined && isFinalReason(gaveUp)) || (error !== undefined && isFinalError(error));
}

/** Tells SDKs not to retry, by `no` in each of `fields`: lower-case names; the upstream's own, which may say the opposite, give way. */
export function addVeto(headers: string[], fields: readonly string[], no = 'false'): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (fields.includes((headers[i] as string).toLowerCase())) headers.splice(i, 2);
  }
  for (const field of fields) headers.push(field, no);
}
