import type { Load } from './load.ts';

/** A target that could take an attempt, now or later. */
export interface Candidate {
  readonly load: Load;
  /** On the scale of `now`; not later than `now`: at once. Infinity: unknown. */
  readonly usableAt: number;
  /** Before that time it would refuse the attempt. Otherwise the attempt waits there. */
  readonly refuses: boolean;
}

/** A tier keeps a call that it can take within this time. Otherwise each short wait would send calls to the more expensive tier. */
const PATIENCE_MS = 250;

/** Attempts in flight above the fair share that a target may have. Its turn decides below that. */
const SLACK = 1;

/**
 * Chooses the targets of attempts.
 *
 * Within the lowest tier that can take the attempt, targets take turns by weight (as in stride scheduling: Waldspurger and Weihl,
 * 1995). A target with more load than its fair share is left out: it is slower than the others, or it fails. All loads are known
 * exactly here, so no random draw is needed, and the shares are exact too.
 */
export class Chooser {
  /** The latest turn of each tier. A target that stood aside does not catch up: after an outage it takes its share and no more. */
  readonly #turns = new Map<number, number>();

  /**
   * Undefined if there is no candidate. If none can take the attempt now, it waits at the one that can take it first. If none lets it
   * wait, the one that can take it first refuses it.
   */
  choose<C extends Candidate>(candidates: readonly C[], now: number): C | undefined {
    const tier = tierFor(candidates, now);
    const usable = candidates.filter(({ load, usableAt }) => load.tier === tier && usableAt <= now);
    const chosen = usable.length === 0 ? soonest(candidates, tier) : this.#nextInTurn(withRoom(usable, now));
    if (chosen !== undefined) this.#takeTurn(chosen.load);
    return chosen;
  }

  #nextInTurn<C extends Candidate>(usable: readonly C[]): C | undefined {
    let next: C | undefined;
    let turn = Infinity;
    for (const one of usable) {
      const own = this.#turnOf(one.load);
      if (own >= turn) continue;
      next = one;
      turn = own;
    }
    return next;
  }

  #turnOf({ turn, tier }: Load): number {
    return Math.max(turn, this.#turns.get(tier) ?? 0);
  }

  #takeTurn(load: Load): void {
    const turn = this.#turnOf(load);
    this.#turns.set(load.tier, turn);
    load.turn = turn + 1 / load.weight;
  }
}

/** The lowest tier that can take the attempt now or soon; undefined if none can. */
function tierFor(candidates: readonly Candidate[], now: number): number | undefined {
  let tier = Infinity;
  let soonTier = Infinity;
  for (const { load, refuses, usableAt } of candidates) {
    if (usableAt <= now) tier = Math.min(tier, load.tier);
    if (!refuses && usableAt <= now + PATIENCE_MS) soonTier = Math.min(soonTier, load.tier);
  }
  return tier === Infinity ? undefined : Math.min(tier, soonTier);
}

function soonest<C extends Candidate>(candidates: readonly C[], tier: number | undefined): C | undefined {
  let first: C | undefined;
  for (const one of candidates) {
    if (tier !== undefined && one.load.tier !== tier) continue;
    if (first === undefined || isBefore(one, first)) first = one;
  }
  return first;
}

function isBefore(one: Candidate, other: Candidate): boolean {
  if (one.refuses !== other.refuses) return other.refuses;
  if (one.usableAt !== other.usableAt) return one.usableAt < other.usableAt;
  return one.load.tier < other.load.tier;
}

/** Those whose load is within their fair share of the load of all. There is always one. */
function withRoom<C extends Candidate>(usable: readonly C[], now: number): readonly C[] {
  if (usable.length === 1) return usable;
  let load = 1;
  let weight = 0;
  for (const one of usable) {
    load += one.load.at(now);
    weight += one.load.weight;
  }
  return usable.filter((one) => one.load.at(now) + 1 <= (load * one.load.weight) / weight + SLACK);
}
