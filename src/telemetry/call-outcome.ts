import { isFailing } from '../http/status.ts';
import { type ErrorCode, isRefusal } from '../proxy/errors.ts';
import type { Noted } from '../proxy/notes.ts';
import type { AttemptEntry } from './attempt-entry.ts';

/**
 * The outcome of a call:
 *
 * - `rescued`: success after a retry, or by a second attempt while the first was stuck
 * - `fallback`: another upstream, the configuration, or the cache in place of an error gave the reply
 * - `upstream_error`: the client got a failing reply of the upstream
 * - `failed`: no reply, or it broke off
 * - `rejected`: the proxy refused the call; the upstream was not contacted
 * - `bug`: a fault of the proxy
 */
export type CallOutcome =
  | 'ok'
  | 'rescued'
  | 'fallback'
  | 'upstream_error'
  | 'failed'
  | 'rejected'
  | 'client_gone'
  | 'bug';

/** How a call ended. */
export interface CallResult {
  /** The status that the client got; 0 if no head was sent. */
  readonly status: number;
  /** The source of the reply. */
  readonly origin: 'upstream' | 'proxy' | 'fallback' | 'cache';
  /** The error, if any, also one after the head (`client_gone`, `response_incomplete`). */
  readonly error?: ErrorCode | 'bug' | undefined;
  /** True: the body of a good reply says that the call has failed. */
  readonly bodyFailed?: boolean | undefined;
}

/** The parts of a record that decide the outcome. */
interface OutcomeInputs {
  readonly attempts: number;
  readonly entries: readonly AttemptEntry[];
  readonly notes: Noted;
  readonly origin: CallResult['origin'];
}

/** Classifies a finished call. */
export function outcomeOf(record: OutcomeInputs, result: CallResult): CallOutcome {
  const { error } = result;
  if (error === 'bug') return 'bug';
  if (error === 'client_gone') return 'client_gone';
  if (error !== undefined) return record.attempts === 0 && isRefusal(error) ? 'rejected' : 'failed';
  if (isStandIn(record)) return 'fallback';
  if (record.notes.gave_up !== undefined || isFailedReply(result)) return 'upstream_error';
  return isRetried(record) ? 'rescued' : 'ok';
}

const isFailedReply = ({ bodyFailed, status }: CallResult): boolean =>
  bodyFailed === true || isFailing(status);

function isStandIn({ notes, origin }: OutcomeInputs): boolean {
  return (origin === 'fallback' && notes.fallback !== 'failed') || notes.cache === 'stale_if_error';
}

/** A hedge is no retry, because nothing had failed. A second attempt next to a stuck one is a retry. */
function isRetried({ attempts, entries, notes }: OutcomeInputs): boolean {
  if (notes.stuck === 'won') return true;
  return attempts > 1 && entries.filter(({ hedgedAfterMs }) => hedgedAfterMs === undefined).length > 1;
}
