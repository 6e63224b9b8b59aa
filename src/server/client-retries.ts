import type { RawHeaders } from '../http/headers.ts';
import type { ErrorCode } from '../proxy/errors.ts';
import type { ResumeDenial } from '../proxy/events.ts';

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

/**
 * The end of a call after which its client should not try either: all has been tried, or trying does harm. Left out is
 * what the client knows better (whether a POST may be repeated, a body that it still has) or where another time may be
 * another proxy (`draining`).
 */
const FINAL: Readonly<Record<ResumeDenial, boolean>> = {
  attempts: true,
  veto: true,
  permanent: true,
  retry_after_too_long: true,
  deadline: true,
  breaker: true,
  concurrency: true,
  quota: true,
  budget: true,
  not_idempotent: false,
  body_not_replayable: false,
  changed: false,
  // A client that signs anew may well try again.
  signature_age: false,
  draining: false,
  client_gone: false,
};

/** The same of a call that did not come so far. */
const FINAL_ERRORS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'breaker_open',
  'concurrency_limit',
  'quota',
  'deadline_exceeded',
  'egress_denied',
  'client_forbidden',
  'proxy_loop',
  'address_prohibited',
]);

/** Whether a failed call ends here for its client too. `gaveUp` and `error`: why there was no (other) attempt. */
export function isFinal(gaveUp: ResumeDenial | undefined, error?: ErrorCode): boolean {
  return (gaveUp !== undefined && FINAL[gaveUp]) || (error !== undefined && FINAL_ERRORS.has(error));
}

/** Tells SDKs not to retry, by `no` in each of `fields`: lower-case names; the upstream's own, which may say the opposite, give way. */
export function addVeto(headers: string[], fields: readonly string[], no = 'false'): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (fields.includes((headers[i] as string).toLowerCase())) headers.splice(i, 2);
  }
  for (const field of fields) headers.push(field, no);
}
