import { type AttemptEnd, type DurableRefusal, type ErrorCode, factsOf } from './error-table.ts';
import type { RetryDenial } from './gave-up.ts';

export type { ErrorCode } from './error-table.ts';

/**
 * What the upstream may have seen of an attempt that brought no reply.
 * `not_sent`: not one request byte left us, so any method may be tried again. `sent_unknown`: bytes left, fate unknown.
 */
export type Sent = 'not_sent' | 'sent_unknown';

export interface ProxyErrorOptions {
  readonly cause?: unknown;
  /** Default `not_sent`, which is what every refusal of our own is. */
  readonly sent?: Sent;
  /** When the caller may usefully try again, if we know. */
  readonly retryAfterMs?: number | undefined;
}

/** The proxy could not, or would not, bring a reply. */
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

/** The refusal of what would begin, or is still under way, while the proxy shuts down. */
export const shuttingDown = (sent: Sent = 'not_sent'): ProxyError =>
  new ProxyError('draining', 'the proxy is shutting down', { sent });

type Coded = Pick<ProxyError, 'code'>;

/** True when the failure says something about the upstream; false for the client's leaving and our own refusals. */
export function blamesUpstream({ code }: Coded): boolean {
  return factsOf(code).blame === 'upstream';
}

/** True for what we would not do, with the upstream untouched. */
export function isRefusal(code: ErrorCode): boolean {
  const { blame } = factsOf(code);
  return blame === 'client' || blame === 'proxy';
}

/** True if the client should not try again either. */
export const isFinalError = (code: ErrorCode): boolean => factsOf(code).final;

/** True if a fallback can answer: the upstream failed or was not asked. False if the call is at fault or we shut down. */
export function failsOver({ code }: Coded): boolean {
  const facts = factsOf(code);
  return facts.blame === 'upstream' || facts.fallback;
}

/** The reason that is given where this refusal ends the retries of a call. */
export function gaveUpBecause({ code }: Coded): RetryDenial {
  const facts = factsOf(code);
  return facts.blame === 'upstream' ? 'refused' : facts.gaveUp;
}

/** What a durable request does; undefined for a failed attempt, which the retry rules judge. */
export function durableRefusal({ code }: Coded): DurableRefusal | undefined {
  const facts = factsOf(code);
  return facts.blame === 'upstream' ? undefined : facts.durable;
}

const endsAs = ({ code }: Coded, ...ends: readonly AttemptEnd[]): boolean =>
  ends.includes(factsOf(code).attempt);

/** True when no connection came about: DNS, TCP or TLS. */
export const isConnectFailure = (error: Coded): boolean => endsAs(error, 'unconnected');

/** True for an attempt that the client or this proxy stopped waiting for: it says something only after a long enough wait. */
export const isCutShort = (error: Coded): boolean => endsAs(error, 'cut_short', 'client_left');

/** True for an end that can come before or after the first byte of the request: how far the attempt got decides `sent`. */
export const dependsOnProgress = (error: Coded): boolean => endsAs(error, 'overdue', 'cut_short');

/** True for a body that broke in a way that another connection can repair. */
export const isResumable = (error: Coded): boolean => endsAs(error, 'broken', 'stalled');

/** True for a silence of the upstream that makes its connection suspect. */
export const isSilence = (error: Coded): boolean =>
  blamesUpstream(error) && endsAs(error, 'overdue', 'stalled', 'cut_short');
