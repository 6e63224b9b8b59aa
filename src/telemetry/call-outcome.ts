import { isFailing } from '../http/status.ts';
import { type ErrorCode, isRefusal } from '../proxy/errors.ts';
import type { Noted } from '../proxy/notes.ts';
import type { AttemptEntry } from './attempt-entry.ts';

/**
 * How a call ended, in one word. `rescued`: succeeded after at least one retry, or beside a stuck attempt; `fallback`: another upstream,
 * a reply from the configuration or a kept one answered in the upstream's place; `upstream_error`: a failing reply of the
 * upstream went through; `failed`: no reply to give, or one that broke off; `rejected`: we refused and the upstream saw
 * nothing; `bug`: our own fault.
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

export interface Ending {
  /** The status that the client got; 0 when no head went out. */
  readonly status: number;
  /** Who made the reply. */
  readonly origin: 'upstream' | 'proxy' | 'fallback' | 'cache';
  /** What went wrong, if anything, also after the head (`client_gone`, `response_incomplete`). */
  readonly error?: ErrorCode | 'bug' | undefined;
}

/** What an outcome is made of. */
interface Ended {
  readonly attempts: number;
  readonly entries: readonly AttemptEntry[];
  readonly notes: Noted;
  readonly origin: Ending['origin'];
}

/** In one word. */
export function outcomeOf(record: Ended, { error, status }: Ending): CallOutcome {
  if (error === 'bug') return 'bug';
  if (error === 'client_gone') return 'client_gone';
  if (error !== undefined) return record.attempts === 0 && isRefusal(error) ? 'rejected' : 'failed';
  if (isStandIn(record)) return 'fallback';
  if (record.notes.gave_up !== undefined || isFailing(status)) return 'upstream_error';
  return isRetried(record) ? 'rescued' : 'ok';
}

function isStandIn({ notes, origin }: Ended): boolean {
  return origin === 'fallback' || notes.cache === 'stale_if_error';
}

/** A hedge is no retry: nothing had failed. A second attempt beside a stuck one is. */
function isRetried({ attempts, entries, notes }: Ended): boolean {
  if (notes.stuck === 'won') return true;
  return attempts > 1 && entries.filter(({ hedgedAfterMs }) => hedgedAfterMs === undefined).length > 1;
}
