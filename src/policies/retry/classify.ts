import { forbidsRetry } from '../../http/grpc.ts';
import { headerOf } from '../../http/headers.ts';
import type { Reply, ReplyClassification } from '../../http/reply.ts';
import { isAnswered, isTooMuch, statusClass } from '../../http/status.ts';
import { type Call, isRead, isRepeatable } from '../../proxy/call.ts';
import { blamesUpstream, isCutShort, type ProxyError } from '../../proxy/errors.ts';
import type { RetryReason } from '../../proxy/events.ts';
import type { RetryOptions } from './options.ts';

/** The part of a call that `classify` reads. A key is present only if the route trusts it. */
export type ClassifiedCall = Pick<Call, 'method' | 'safe' | 'idempotencyKey' | 'upgrade' | 'overrides'>;

/** The part of an outcome that `classify` reads. */
export type ClassifiedOutcome =
  | { readonly kind: 'reply'; readonly reply: Pick<Reply, 'status' | 'headers' | 'classification' | 'grpc'> }
  | { readonly kind: 'error'; readonly error: ProxyError };

/** Whether the kind of an outcome allows a retry. Attempts, time, budget and body are checked elsewhere. */
export type RetryDecision =
  | {
      readonly retry: 'no';
      /**
       * `not_idempotent`, `veto`: the kind of failure allows a retry, but the method or the upstream forbids it.
       * `permanent`: an error rule says that no retry can succeed.
       * `rejected`: a refusal of this proxy. `not_retryable`: every other failure.
       */
      readonly because:
        | 'success'
        | 'not_retryable'
        | 'not_idempotent'
        | 'veto'
        | 'permanent'
        | 'rejected'
        | 'client_gone';
    }
  | {
      readonly retry: 'yes';
      /** Nothing was sent to the upstream, so the retry adds no load and costs no token. */
      readonly transparent: boolean;
      /** The upstream is overloaded (429, 503, 529), so the backoff is longer. */
      readonly overloaded: boolean;
      readonly reason: RetryReason;
    };

/** Classifies the outcome of attempt number `attempt` (1-based). */
export function classify(
  outcome: ClassifiedOutcome,
  call: ClassifiedCall,
  options: ClassifyOptions,
  attempt: number,
): RetryDecision {
  return outcome.kind === 'error'
    ? classifyError(outcome.error, call)
    : classifyReply(outcome.reply, call, options, attempt);
}

function classifyReply(
  reply: ClassifiedReply,
  call: ClassifiedCall,
  options: ClassifyOptions,
  attempt: number,
): RetryDecision {
  const kind = ruleOf(reply, options);
  if (reply.status < 400 && kind === undefined) return SUCCESS;
  const wish = upstreamsWish(reply, options.vetoHeaders);
  const asked = isStillRunning(reply, call, attempt) ? 'retry' : wish;
  const meaning = kind ?? meaningOf(reply.status, call, options, asked);
  if (isPermanent(meaning)) return PERMANENT;
  if (meaning === 'no_failure') return NOT_RETRYABLE;
  if (wish === 'veto') return VETO;
  return meaning === 'not_processed' || isRepeatable(call) ? answered(reply) : NOT_IDEMPOTENT;
}

/** The same credential would be refused again. */
const isPermanent = (meaning: unknown): boolean =>
  meaning === 'permanent' || meaning === 'credential_refused';

type ClassifyOptions = Pick<RetryOptions, 'statuses' | 'notProcessed' | 'grpcStatuses' | 'vetoHeaders'>;
type ClassifiedReply = Extract<ClassifiedOutcome, { kind: 'reply' }>['reply'];

/**
 * True if an attempt earns a token: the upstream did its work (`isAnswered`). A failure that is retried never earns one, because
 * it would pay for its own retry.
 */
export function isSuccess(outcome: ClassifiedOutcome, decision: RetryDecision): boolean {
  if (decision === SUCCESS) return true;
  if (decision !== NOT_RETRYABLE || outcome.kind === 'error') return false;
  const { status, classification } = outcome.reply;
  return isAnswered(status) && classification?.throttled !== true;
}

const SUCCESS: RetryDecision = Object.freeze({ retry: 'no', because: 'success' });
const NOT_RETRYABLE: RetryDecision = Object.freeze({ retry: 'no', because: 'not_retryable' });
const NOT_IDEMPOTENT: RetryDecision = Object.freeze({ retry: 'no', because: 'not_idempotent' });
const VETO: RetryDecision = Object.freeze({ retry: 'no', because: 'veto' });
const PERMANENT: RetryDecision = Object.freeze({ retry: 'no', because: 'permanent' });
const REJECTED: RetryDecision = Object.freeze({ retry: 'no', because: 'rejected' });
const CLIENT_GONE: RetryDecision = Object.freeze({ retry: 'no', because: 'client_gone' });

const CONFLICT = 409;
const MISDIRECTED = 421;

function classifyError(error: ProxyError, call: ClassifiedCall): RetryDecision {
  if (error.code === 'client_gone') return CLIENT_GONE;
  if (!blamesUpstream(error)) return REJECTED;
  // No time is left.
  if (isCutShort(error)) return NOT_RETRYABLE;
  const transparent = error.sent === 'not_sent';
  if (!transparent && !isRepeatable(call)) return NOT_IDEMPOTENT;
  return { retry: 'yes', transparent, overloaded: false, reason: error.code };
}

/** The meaning that error rules or the route's gRPC statuses give to a reply. */
function ruleOf(
  { grpc, classification }: ClassifiedReply,
  { grpcStatuses }: ClassifyOptions,
): ReplyClassification['kind'] {
  return classification?.kind ?? (grpc !== undefined && grpcStatuses.has(grpc) ? 'not_processed' : undefined);
}

function answered({ status, grpc, classification }: ClassifiedReply): RetryDecision {
  const overloaded = isTooMuch(status) || classification?.throttled === true;
  const reason = grpc === undefined ? (`status_${status}` as const) : (`grpc_${grpc}` as const);
  return { retry: 'yes', transparent: false, overloaded, reason };
}

/** True if the first attempt still runs under this call's key, so that its result is available later. */
function isStillRunning(
  { status }: ClassifiedReply,
  { idempotencyKey }: ClassifiedCall,
  attempt: number,
): boolean {
  return status === CONFLICT && attempt > 1 && idempotencyKey !== undefined;
}

/** The meaning of a status without an error rule. */
function meaningOf(
  status: number,
  call: ClassifiedCall,
  options: ClassifyOptions,
  wish: Wish,
): 'retry' | 'not_processed' | 'no_failure' {
  // A misdirected request was not processed (RFC 9110 §15.5.20): the connection was wrong, not the request.
  if (status === MISDIRECTED || options.notProcessed.has(status)) return 'not_processed';
  if (wish === 'retry') return 'retry';
  if (!options.statuses.has(status)) return 'no_failure';
  // Half of the work may be done. Reading again is harmless; writing again may repeat that half.
  return statusClass(status) === 'internal' && !isRead(call) ? 'no_failure' : 'retry';
}

/** Whether the upstream asks for a retry or forbids one (veto headers). */
type Wish = 'retry' | 'veto' | 'none';

function upstreamsWish({ headers, grpc }: ClassifiedReply, names: readonly string[]): Wish {
  if (grpc !== undefined && forbidsRetry(headers)) return 'veto';
  let wish: Wish = 'none';
  for (const name of names) {
    const word = headerOf(headers, name)?.trim().toLowerCase();
    if (word === 'false') return 'veto';
    if (word === 'true') wish = 'retry';
  }
  return wish;
}
