import { forbidsRetry } from '../../http/grpc.ts';
import { headerOf } from '../../http/headers.ts';
import type { Reply, ReplyVerdict } from '../../http/reply.ts';
import { isAnswered, isTooMuch, statusClass } from '../../http/status.ts';
import { type Call, isRepeatable } from '../../proxy/call.ts';
import { blamesUpstream, isCutShort, type ProxyError } from '../../proxy/errors.ts';
import type { RetryReason } from '../../proxy/events.ts';
import type { RetryOptions } from './options.ts';

/** What classify looks at in a Call. A key means that the route trusts it. */
export type ClassifiedCall = Pick<Call, 'method' | 'safe' | 'idempotencyKey' | 'upgrade' | 'overrides'>;

/** What classify looks at in an Outcome. */
export type ClassifiedOutcome =
  | { readonly kind: 'reply'; readonly reply: Pick<Reply, 'status' | 'headers' | 'verdict' | 'grpc'> }
  | { readonly kind: 'error'; readonly error: ProxyError };

/** Whether the nature of an outcome lets the call be sent again. Attempts, time, budget and body are asked elsewhere. */
export type RetryVerdict =
  | {
      readonly retry: 'no';
      /**
       * `not_idempotent`, `veto`: a failure of a kind that is retried, were it not for the method or the upstream's word.
       * `permanent`: by the rules of the API no repetition changes it.
       * `rejected`: our own refusal. `not_retryable`: everything else that is not below 400.
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
      /** Nothing reached the upstream, so the retry adds no load and costs no budget. */
      readonly transparent: boolean;
      /** The upstream has too much to do (429, 503, 529): wait longer. */
      readonly overloaded: boolean;
      readonly reason: RetryReason;
    };

/** Judges the outcome of attempt number `attempt`. */
export function classify(
  outcome: ClassifiedOutcome,
  call: ClassifiedCall,
  options: Judged,
  attempt: number,
): RetryVerdict {
  return outcome.kind === 'error'
    ? classifyError(outcome.error, call)
    : classifyReply(outcome.reply, call, options, attempt);
}

function classifyReply(
  reply: JudgedReply,
  call: ClassifiedCall,
  options: Judged,
  attempt: number,
): RetryVerdict {
  const kind = ruleOf(reply, options);
  if (reply.status < 400 && kind === undefined) return SUCCESS;
  const wish = upstreamsWish(reply, options.vetoHeaders);
  const asked = isStillRunning(reply, call, attempt) ? 'retry' : wish;
  const meaning = kind ?? meaningOf(reply.status, call, options, asked);
  if (meaning === 'permanent') return PERMANENT;
  if (meaning === 'no_failure') return NOT_RETRYABLE;
  if (wish === 'veto') return VETO;
  return meaning === 'not_processed' || isRepeatable(call) ? answered(reply) : NOT_IDEMPOTENT;
}

type Judged = Pick<RetryOptions, 'statuses' | 'notProcessed' | 'grpcStatuses' | 'vetoHeaders'>;
type JudgedReply = Extract<ClassifiedOutcome, { kind: 'reply' }>['reply'];

/**
 * True when an attempt pays into the budget: the upstream did its work (`isAnswered`). Nothing that this call's retries
 * are for pays: a failure that paid for its own retry would undo the budget.
 */
export function isSuccess(outcome: ClassifiedOutcome, verdict: RetryVerdict): boolean {
  if (verdict === SUCCESS) return true;
  if (verdict !== NOT_RETRYABLE || outcome.kind === 'error') return false;
  const { status, verdict: meaning } = outcome.reply;
  return isAnswered(status) && meaning?.throttled !== true;
}

const SUCCESS: RetryVerdict = Object.freeze({ retry: 'no', because: 'success' });
const NOT_RETRYABLE: RetryVerdict = Object.freeze({ retry: 'no', because: 'not_retryable' });
const NOT_IDEMPOTENT: RetryVerdict = Object.freeze({ retry: 'no', because: 'not_idempotent' });
const VETO: RetryVerdict = Object.freeze({ retry: 'no', because: 'veto' });
const PERMANENT: RetryVerdict = Object.freeze({ retry: 'no', because: 'permanent' });
const REJECTED: RetryVerdict = Object.freeze({ retry: 'no', because: 'rejected' });
const CLIENT_GONE: RetryVerdict = Object.freeze({ retry: 'no', because: 'client_gone' });

const CONFLICT = 409;
const MISDIRECTED = 421;

const isRead = ({ method, safe = false }: ClassifiedCall): boolean =>
  safe || method === 'GET' || method === 'HEAD';

function classifyError(error: ProxyError, call: ClassifiedCall): RetryVerdict {
  if (error.code === 'client_gone') return CLIENT_GONE;
  if (!blamesUpstream(error)) return REJECTED;
  // No time is left.
  if (isCutShort(error)) return NOT_RETRYABLE;
  const transparent = error.sent === 'not_sent';
  if (!transparent && !isRepeatable(call)) return NOT_IDEMPOTENT;
  return { retry: 'yes', transparent, overloaded: false, reason: error.code };
}

/** What the route knows of such a reply. */
function ruleOf({ grpc, verdict }: JudgedReply, { grpcStatuses }: Judged): ReplyVerdict['kind'] {
  return verdict?.kind ?? (grpc !== undefined && grpcStatuses.has(grpc) ? 'not_processed' : undefined);
}

function answered({ status, grpc, verdict }: JudgedReply): RetryVerdict {
  const overloaded = isTooMuch(status) || verdict?.throttled === true;
  const reason = grpc === undefined ? (`status_${status}` as const) : (`grpc_${grpc}` as const);
  return { retry: 'yes', transparent: false, overloaded, reason };
}

/** True if the first attempt still runs under this call's key, so that its result will be there later. */
function isStillRunning(
  { status }: JudgedReply,
  { idempotencyKey }: ClassifiedCall,
  attempt: number,
): boolean {
  return status === CONFLICT && attempt > 1 && idempotencyKey !== undefined;
}

/** What a status means where the API has no rule for it. */
function meaningOf(
  status: number,
  call: ClassifiedCall,
  options: Judged,
  wish: Wish,
): 'retry' | 'not_processed' | 'no_failure' {
  // A misdirected request was not processed (RFC 9110 §15.5.20): it was the wrong connection, not the wrong request.
  if (status === MISDIRECTED || options.notProcessed.has(status)) return 'not_processed';
  if (wish === 'retry') return 'retry';
  if (!options.statuses.has(status)) return 'no_failure';
  // Half of the work may have been done: reading again is harmless, writing again may hit the same half.
  return statusClass(status) === 'internal' && !isRead(call) ? 'no_failure' : 'retry';
}

/** What the upstream itself says about sending the call again. */
type Wish = 'retry' | 'veto' | 'none';

function upstreamsWish({ headers, grpc }: JudgedReply, names: readonly string[]): Wish {
  if (grpc !== undefined && forbidsRetry(headers)) return 'veto';
  let wish: Wish = 'none';
  for (const name of names) {
    const word = headerOf(headers, name)?.trim().toLowerCase();
    if (word === 'false') return 'veto';
    if (word === 'true') wish = 'retry';
  }
  return wish;
}
