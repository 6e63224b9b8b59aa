import { EXACT } from './plan.ts';

/**
 * Units are given this long before they may be used, so that they are there when they are needed. A longer time saves requests. But it is also
 * the time for which replicas know too little of each other when the engine turns slow.
 */
export const AHEAD_MS = 500;

/** After a loss of state, nothing is given for this long. By then each replica has said what it knows, at its next heartbeat. */
export const HOLD_MS = 2_000;

/** The engine's state of one window. Times are milliseconds of the engine's clock. */
export interface Ledger {
  /** Theoretical arrival time of the next unit (GCRA). */
  readonly tat: number;
  /** Grows with each step. A lower number than a replica knows means that the engine has lost state. */
  readonly version: number;
  /** Until then nothing is given. */
  readonly holdUntil: number;
}

/** Units that a replica has not used. `end`: the theoretical arrival time after them. */
export interface Returned {
  readonly units: number;
  readonly end: number;
}

/** One request of a replica. */
export interface LeaseRequest {
  readonly intervalMs: number;
  readonly burst: number;
  readonly want: number;
  /** Fewer units are of no use; nothing is given then. */
  readonly need: number;
  /** Units that were used without a lease. */
  readonly owed: number;
  readonly back: Returned;
  /** The state that the replica has seen last; version 0: none. */
  readonly known: Pick<Ledger, 'version' | 'tat'>;
}

export interface LeaseReply {
  /** The engine's time. */
  readonly now: number;
  readonly granted: number;
  /** The theoretical arrival time before the units that were given. */
  readonly from: number;
  readonly ledger: Ledger;
}

/**
 * One step of the engine, as an atomic operation. The adapters carry out the same arithmetic in the language of their engine, and
 * `test/fleet/contract.ts` compares them with this function.
 */
export function lease(before: Ledger | undefined, request: LeaseRequest, now: number): LeaseReply {
  const { intervalMs } = request;
  const { version, holdUntil, tat } = merged(before ?? NEW, request.known, now);
  const held = now < holdUntil;
  const owing = Math.max(now, tat) + request.owed * intervalMs;
  const from = held ? owing : owing - refilled(request.back, intervalMs, now);
  const granted = held ? 0 : given(request, from, now);
  return { now, granted, from, ledger: { tat: from + granted * intervalMs, version, holdUntil } };
}

const NEW: Ledger = { tat: 0, version: 0, holdUntil: 0 };

/** The state of the engine, and what a replica knows if the engine has lost some. */
function merged({ tat, version, holdUntil }: Ledger, known: LeaseRequest['known'], now: number): Ledger {
  const lost = known.version > version;
  const until = lost ? now + HOLD_MS : holdUntil;
  return {
    tat: now < until ? Math.max(tat, known.tat) : tat,
    version: (lost ? known.version : version) + 1,
    holdUntil: until,
  };
}

function given({ burst, intervalMs, need, want }: LeaseRequest, from: number, now: number): number {
  const room = Math.floor((now + AHEAD_MS - from) / intervalMs + burst + EXACT);
  const possible = Math.min(want, room);
  return possible < need ? 0 : Math.max(0, possible);
}

/** Milliseconds that come back. A unit that has been refilled by time is back already. */
function refilled({ units, end }: Returned, intervalMs: number, now: number): number {
  return Math.max(0, Math.min(units * intervalMs, end - now));
}
