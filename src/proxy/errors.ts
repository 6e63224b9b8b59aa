import { type AttemptEnd, type DurableRefusal, type ErrorCode, factsOf } from './error-table.ts';
import type { RetryDenial } from './gave-up.ts';

export type { ErrorCode } from './error-table.ts';

/**
 * How much of an attempt without a reply was sent. `not_sent`: not one byte of the request, so any method may be retried.
 * `sent_unknown`: some bytes, and the upstream may have processed the request.
 */
export type Sent = 'not_sent' | 'sent_unknown';

export interface ProxyErrorOptions {
  readonly cause?: unknown;
  /** Default `not_sent`, as for every refusal of this proxy. */
  readonly sent?: Sent;
  /** Milliseconds after which a retry may succeed; undefined if unknown. */
  readonly retryAfterMs?: number | undefined;
}

/** The proxy has no reply for a call. `code` says why: see the error table. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ErrorCode;
  readonly sent: Sent;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ProxyErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.sent = options.sent ?? 'not_sent';
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The refusal of calls that would begin, or are still running, while the proxy shuts down. */
export const shuttingDown = (sent: Sent = 'not_sent'): ProxyError =>
  new ProxyError('draining', 'the proxy is shutting down', { sent });

type Coded = Pick<ProxyError, 'code'>;

/** True if the failure counts against the upstream; false if the client left, and for refusals of this proxy. */
export function blamesUpstream({ code }: Coded): boolean {
  return factsOf(code).blame === 'upstream';
}

/** True if the proxy refused the call without contacting the upstream. */
export function isRefusal(code: ErrorCode): boolean {
  const { blame } = factsOf(code);
  return blame === 'client' || blame === 'proxy';
}

/** True if the client should not retry either. */
export const isFinalError = (code: ErrorCode): boolean => factsOf(code).final;

/** True if a fallback can answer: the upstream failed or was not contacted. False for an error in the call, and during shutdown. */
export function failsOver({ code }: Coded): boolean {
  const facts = factsOf(code);
  return facts.blame === 'upstream' || facts.fallback;
}

/** The part of a target that a refusal of this proxy is about; undefined: another target would repeat it. */
export function refusalIsAbout({ code }: Coded): 'credential' | 'host' | undefined {
  const facts = factsOf(code);
  return facts.blame === 'upstream' ? undefined : facts.about;
}

/** The reason to report if this refusal ends the retries of a call. */
export function gaveUpBecause({ code }: Coded): RetryDenial {
  const facts = factsOf(code);
  return facts.blame === 'upstream' ? 'refused' : facts.gaveUp;
}

/** The effect on a durable request; undefined for a failed attempt, which the retry rules classify. */
export function durableRefusal({ code }: Coded): DurableRefusal | undefined {
  const facts = factsOf(code);
  return facts.blame === 'upstream' ? undefined : facts.durable;
}

const endsAs = ({ code }: Coded, ...ends: readonly AttemptEnd[]): boolean =>
  ends.includes(factsOf(code).attempt);

/** True if no connection was made: DNS, TCP or TLS failed. */
export const isConnectFailure = (error: Coded): boolean => endsAs(error, 'unconnected');

/** True if the upstream did not answer within the time of the attempt. */
export const isOverdue = (error: Coded): boolean => endsAs(error, 'overdue');

/** True if the client or this proxy ended the attempt. It counts against the upstream only after a long wait. */
export const isCutShort = (error: Coded): boolean => endsAs(error, 'cut_short', 'client_left');

/** True for an end that can come before or after the first byte of the request, so that `sent` depends on the progress. */
export const dependsOnProgress = (error: Coded): boolean => endsAs(error, 'overdue', 'cut_short');

/** True for a broken body that another connection can continue. */
export const isResumable = (error: Coded): boolean => endsAs(error, 'broken', 'stalled');

/** True for a silence of the upstream after which its connection must not be reused. */
export const isSilence = (error: Coded): boolean =>
  blamesUpstream(error) && endsAs(error, 'overdue', 'stalled', 'cut_short');
