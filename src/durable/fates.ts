import type { ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { Job, JobErrorCode, WaitReason } from './job.ts';

/** What we ourselves would not send: the request waits and no attempt counts, or it ends. */
export type Refusal =
  | {
      readonly kind: 'wait';
      readonly reason: WaitReason;
      /** The wait where the refusal names none; otherwise half of it is the shortest. */
      readonly comeBackMs: number;
    }
  | { readonly kind: 'end'; readonly code: JobErrorCode };

export type WaitRefusal = Extract<Refusal, { kind: 'wait' }>;

/** What an error means for a durable request. */
export type Fate =
  /** The retry rules of the route judge it, and it counts as an attempt. */
  { readonly kind: 'attempt' } | Refusal;

const ATTEMPT: Fate = { kind: 'attempt' };

/** The request itself is at fault: a later attempt would meet the same refusal. */
const NEVER: Refusal = { kind: 'end', code: 'not_retryable' };

const SOON_MS = 1_000;

/** A person has to change something first. */
const PERSON_MS = 60_000;

const waits = (reason: WaitReason, comeBackMs: number = SOON_MS): Fate => ({
  kind: 'wait',
  reason,
  comeBackMs,
});

/**
 * THE table: each way in which an attempt can bring no reply, and what a durable request does then. It has a row for each
 * code, so that a new one is decided here and not by chance.
 */
export const FATES: Readonly<Record<ErrorCode, Fate>> = {
  client_gone: { kind: 'end', code: 'cancelled' },
  bad_request: NEVER,
  too_many_fields: NEVER,
  request_timeout: NEVER,
  route_not_found: NEVER,
  idempotency_key_required: NEVER,
  idempotency_key_reused: NEVER,
  idempotency_key_in_use: waits('concurrency'),
  egress_denied: NEVER,
  client_forbidden: NEVER,
  not_cached: NEVER,
  breaker_open: waits('breaker_open'),
  concurrency_limit: waits('concurrency'),
  quota: waits('quota'),
  signature_age: waits('concurrency'),
  out_of_sockets: waits('concurrency'),
  draining: waits('concurrency', 0),
  proxy_loop: NEVER,
  // A name may lead elsewhere for an hour, and a configuration can be corrected: what was accepted is not given up for that.
  address_prohibited: waits('address', PERSON_MS),
  body_not_kept: NEVER,
  payload_too_large: NEVER,
  callback_forbidden: NEVER,
  backlog_full: waits('concurrency'),
  store_unavailable: waits('concurrency'),
  hedge_lost: waits('concurrency'),
  attempt_timeout: ATTEMPT,
  deadline_exceeded: ATTEMPT,
  idle_timeout: ATTEMPT,
  dns_error: ATTEMPT,
  dns_timeout: ATTEMPT,
  connect_timeout: ATTEMPT,
  connection_refused: ATTEMPT,
  connection_failed: ATTEMPT,
  tls_certificate_error: ATTEMPT,
  tls_protocol_error: ATTEMPT,
  tls_alert_received: ATTEMPT,
  egress_proxy_refused: ATTEMPT,
  connection_terminated: ATTEMPT,
  protocol_error: ATTEMPT,
  response_incomplete: ATTEMPT,
};

/** Undefined for a failed attempt, which the retry rules judge. */
export function refusalOf(
  { code }: Pick<ProxyError, 'code'>,
  { kind }: Pick<Job, 'kind'> = { kind: 'request' },
): Refusal | undefined {
  // A client names where a callback goes, so nobody is waited for who would allow that address.
  const fate = kind === 'callback' && code === 'address_prohibited' ? NEVER : FATES[code];
  return fate.kind === 'attempt' ? undefined : fate;
}

/** The retry budget pays for no further attempt now. */
export const noBudget = (comeBackMs: number): WaitRefusal => ({ kind: 'wait', reason: 'budget', comeBackMs });

/** The stored credentials cannot be read: without them the upstream would refuse the request for good. */
export const SEALED: WaitRefusal = { kind: 'wait', reason: 'credentials', comeBackMs: PERSON_MS };
