import { headerOf, type RawHeaders } from '../../http/headers.ts';
import { isIdempotent } from '../../http/methods.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import { blamesUpstream, type ProxyError } from '../../proxy/errors.ts';
import type { RetryReason } from '../../proxy/events.ts';
import type { RetryOptions } from './options.ts';

/** What classify looks at in a Call. A key means that the route trusts it. */
export type ClassifiedCall = Pick<Call, 'method' | 'idempotencyKey' | 'upgrade' | 'attempt'>;

/** What classify looks at in an Outcome. */
export type ClassifiedOutcome =
  | { readonly kind: 'reply'; readonly reply: Pick<Reply, 'status' | 'headers'> }
  | { readonly kind: 'error'; readonly error: ProxyError };

/** Whether the nature of an outcome lets the call be sent again. Attempts, time, budget and body are asked elsewhere. */
export type RetryVerdict =
  | {
      readonly retry: 'no';
      /**
       * `not_idempotent`, `veto`: a failure of a kind that is retried, were it not for the method or the upstream's word.
       * `rejected`: our own refusal. `not_retryable`: everything else that is not below 400.
       */
      readonly because: 'success' | 'not_retryable' | 'not_idempotent' | 'veto' | 'rejected' | 'client_gone';
    }
  | {
      readonly retry: 'yes';
      /** Nothing reached the upstream, so the retry adds no load and costs no budget. */
      readonly transparent: boolean;
      /** The upstream has too much to do (429, 503, 529): wait longer. */
      readonly overloaded: boolean;
      readonly reason: RetryReason;
    };

/** Judges one outcome; the table in the README is this function. */
export function classify(
  outcome: ClassifiedOutcome,
  call: ClassifiedCall,
  options: Pick<RetryOptions, 'statuses' | 'notProcessed'>,
): RetryVerdict {
  if (outcome.kind === 'error') return classifyError(outcome.error, call);
  const { status, headers } = outcome.reply;
  if (status < 400) return SUCCESS;
  const wish = upstreamsWish(headers);
  switch (scopeOf(status, call, options, wish)) {
    case 'no_call':
      return NOT_RETRYABLE;
    case 'repeatable':
      if (wish === 'veto') return VETO;
      return isRepeatable(call) ? answered(status) : NOT_IDEMPOTENT;
    case 'every_call':
      return wish === 'veto' ? VETO : answered(status);
  }
}

/**
 * True when an attempt pays into the budget: the upstream did its work, though the answer may be a 404 to an absurd question.
 * Not a 5xx, not 408 425 429 (not now), and nothing that this call's retries are for: a failure that paid for
 * its own retry would undo the budget.
 */
export function isSuccess(outcome: ClassifiedOutcome, verdict: RetryVerdict): boolean {
  if (verdict === SUCCESS) return true;
  if (verdict !== NOT_RETRYABLE || outcome.kind === 'error') return false;
  return outcome.reply.status < 500 && !NOT_NOW.has(outcome.reply.status);
}

const SUCCESS: RetryVerdict = Object.freeze({ retry: 'no', because: 'success' });
const NOT_RETRYABLE: RetryVerdict = Object.freeze({ retry: 'no', because: 'not_retryable' });
const NOT_IDEMPOTENT: RetryVerdict = Object.freeze({ retry: 'no', because: 'not_idempotent' });
const VETO: RetryVerdict = Object.freeze({ retry: 'no', because: 'veto' });
const REJECTED: RetryVerdict = Object.freeze({ retry: 'no', because: 'rejected' });
const CLIENT_GONE: RetryVerdict = Object.freeze({ retry: 'no', because: 'client_gone' });

const CONFLICT = 409;
const MISDIRECTED = 421;
const INTERNAL_ERROR = 500;
const NOT_NOW: ReadonlySet<number> = new Set([408, 425, 429]);
const OVERLOADED: ReadonlySet<number> = new Set([429, 503, 529]);

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/**
 * Whether the call may be sent again when it is unknown what became of it: by its method or by its key. A handshake is
 * a GET by name only: it may have begun a session.
 */
export function isRepeatable(call: Pick<Call, 'method' | 'idempotencyKey' | 'upgrade'>): boolean {
  if (call.upgrade !== undefined) return false;
  return call.idempotencyKey !== undefined || isIdempotent(call.method);
}

function classifyError(error: ProxyError, call: ClassifiedCall): RetryVerdict {
  if (error.code === 'client_gone') return CLIENT_GONE;
  if (!blamesUpstream(error)) return REJECTED;
  if (error.code === 'deadline_exceeded') return NOT_RETRYABLE;
  const transparent = error.sent === 'not_sent';
  if (!transparent && !isRepeatable(call)) return NOT_IDEMPOTENT;
  return { retry: 'yes', transparent, overloaded: false, reason: error.code };
}

function answered(status: number): RetryVerdict {
  return { retry: 'yes', transparent: false, overloaded: OVERLOADED.has(status), reason: `status_${status}` };
}

/** Which calls may be sent again after a status. */
type Scope = 'no_call' | 'repeatable' | 'every_call';

function scopeOf(
  status: number,
  call: ClassifiedCall,
  options: Pick<RetryOptions, 'statuses' | 'notProcessed'>,
  wish: Wish,
): Scope {
  // A misdirected request was not processed (RFC 9110 §15.5.20): it was the wrong connection, not the wrong request.
  if (status === MISDIRECTED || options.notProcessed.has(status)) return 'every_call';
  // The first attempt still runs under this key; its result will be there later.
  if (status === CONFLICT && call.attempt > 1 && call.idempotencyKey !== undefined) return 'repeatable';
  if (wish === 'retry') return 'repeatable';
  if (!options.statuses.has(status)) return 'no_call';
  // A 500 may have done half of its work: reading again is harmless, writing again may hit the same half.
  if (status === INTERNAL_ERROR && !READS.has(call.method)) return 'no_call';
  return 'repeatable';
}

/** What the upstream itself says about sending the call again. */
type Wish = 'retry' | 'veto' | 'none';

function upstreamsWish(headers: RawHeaders): Wish {
  const word = headerOf(headers, 'x-should-retry')?.trim().toLowerCase();
  if (word === 'false') return 'veto';
  if (headerOf(headers, 'stripe-should-retry')?.trim().toLowerCase() === 'false') return 'veto';
  return word === 'true' ? 'retry' : 'none';
}
