import { ProxyError } from '../proxy/errors.ts';
import type { FinishedAttempt } from './attempt.ts';
import type { RequestEnd } from './callbacks/callback.ts';
import type { Decision } from './decision.ts';
import type { ActiveJob, AttemptRow, ClaimedJob, NewJob } from './job.ts';
import type { Settlement } from './store/store.ts';

/** An attempt that was made, and what is recorded of it. */
export interface RecordedAttempt {
  readonly finished: FinishedAttempt;
  /** Its number, if it is not the number of the claim. */
  readonly n?: number;
  /** Wall-clock milliseconds. */
  readonly at: number;
  /** The defect of a successful reply, such as a body that is not JSON. */
  readonly detail?: string | undefined;
  /** A poll with the same result as before: it is only counted and gets no row. */
  readonly unchanged?: boolean;
  /** The stored reply of an earlier attempt is retained while the request waits. */
  readonly retainsReply?: boolean;
}

export interface SettlementDeps extends Pick<Settlement, 'now'> {
  /** The requests that are created when a request ends: its callback. */
  readonly callbacks: (job: ActiveJob, end: RequestEnd) => readonly NewJob[];
}

/** Of a reply that is not the result, this many bytes are shown with its attempt. */
const SHOWN_REPLY_BYTES = 2_048;

/** The settlement for a decision. `recorded` is undefined if nothing was sent. */
export function settlementOf(
  job: ClaimedJob,
  decision: Decision,
  recorded: RecordedAttempt | undefined,
  { now, callbacks }: SettlementDeps,
): Settlement {
  const { next, runnerState } = decision;
  const response = recorded?.finished.response;
  const stays = next.kind === 'wait' && recorded?.retainsReply === true;
  const attempts = recorded === undefined ? job.attempt - 1 : numberOf(job, recorded);
  return {
    id: job.id,
    owner: job.owner,
    attempt: job.attempt,
    now,
    entry: recorded === undefined || recorded.unchanged === true ? undefined : rowOf(job, decision, recorded),
    response: stays ? undefined : response,
    runnerState:
      runnerState === undefined ? undefined : JSON.stringify({ ...parsedState(job), ...runnerState }),
    next,
    ordered: job.orderKey !== null,
    callbacks:
      next.kind === 'end'
        ? callbacks(job, { status: next.status, error: next.error, now, attempts, response })
        : undefined,
  };
}

const numberOf = ({ attempt }: ClaimedJob, { n = attempt }: RecordedAttempt): number => n;

function rowOf(job: ClaimedJob, { next, waitMs, reason }: Decision, recorded: RecordedAttempt): AttemptRow {
  const { finished, at } = recorded;
  const { outcome } = finished;
  const error = outcome.kind === 'error' ? outcome.error : undefined;
  return {
    n: numberOf(job, recorded),
    at,
    ms: finished.ms,
    status: outcome.kind === 'reply' ? outcome.reply.status : undefined,
    error: error?.code,
    detail: error === undefined ? recorded.detail : error.message,
    waitMs,
    reason,
    reclaimed: job.reclaimed,
    replyHead: next.kind === 'wait' ? finished.response?.body.subarray(0, SHOWN_REPLY_BYTES) : undefined,
  };
}

/** The attempt before this claim, whose outcome is unknown. */
export function lostAttempt({ attempt, startedAt = 0, dueAt }: ClaimedJob): RecordedAttempt {
  const error = new ProxyError(
    'connection_terminated',
    'the process that made this attempt stopped, or lost its lease',
    {
      sent: 'sent_unknown',
    },
  );
  const outcome = { kind: 'error', error } as const;
  return {
    finished: { outcome, response: undefined, sent: true, ms: 0, targetName: undefined },
    n: attempt - 1,
    // It began at its due time or later. Only the start of the first attempt is stored.
    at: Math.max(startedAt, dueAt),
  };
}

export const textOfState = (state: object): string =>
  Object.keys(state).length === 0 ? '' : JSON.stringify(state);

export function parsedState({ runnerState }: Pick<ClaimedJob, 'runnerState'>): object {
  return runnerState === '' ? {} : (JSON.parse(runnerState) as object);
}
