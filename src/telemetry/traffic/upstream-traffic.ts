import type { BreakerState, StateEvent } from '../../proxy/events.ts';
import { COOLDOWN, HALF_OPEN, OPEN, STATES_AT, WIDTH } from './columns.ts';
import { Ring } from './ring.ts';

/** A breaker opened or closed, or a quota cooldown began. */
export interface TrafficEvent {
  /** On the scale of `clock.now()`. */
  readonly at: number;
  readonly scope: string;
  readonly kind: 'open' | 'closed' | 'cooldown';
  readonly cause: string;
  /** Of a cooldown: its expected length in ms. */
  readonly forMs?: number;
  /** Of a breaker that is or was open: how often it was half-open. */
  probes?: number;
}

/** Gauges that are read once for each fine interval. */
export interface TrafficSample {
  /** Share of its limit that is left of the scarcest quota; undefined if none is known. */
  readonly quotaLeft: number | undefined;
  /** Calls that wait for a quota. */
  readonly quotaWaiting: number;
  /** Active quota cooldowns. */
  readonly cooldowns: number;
}

type BreakerChanged = Extract<StateEvent, { type: 'breaker_changed' }>;

/** 15 minutes. */
const FINE = { intervals: 180, stepMs: 5_000 };
/** 6 hours. */
const COARSE = { intervals: 120, stepMs: 180_000 };

/** The state events of the history. */
export type ShownEvent = Extract<
  StateEvent,
  {
    type: 'breaker_changed' | 'quota_cooldown_started' | 'quota_cooldown_heard' | 'quota_cooldown_remembered';
  }
>;

/** Changes of breakers and cooldowns that are listed. The probes of an open breaker are one event together. */
const MOST_EVENTS = 100;

/**
 * The traffic of one upstream. Its memory is fixed: 300 intervals of 53 counts and 2 gauges, 66 KB, and at most 100 events. It is
 * allocated at the upstream's first call.
 */
export class UpstreamTraffic {
  readonly fine: Ring;
  readonly coarse: Ring;
  readonly events: TrafficEvent[] = [];
  readonly #sample: () => TrafficSample | undefined;
  /** Breakers that are not closed, by their scope. At most as many as the upstream has routes. */
  readonly #breakers = new Map<string, BreakerState>();
  #cooldownUntil = -Infinity;

  constructor(now: number, sample: () => TrafficSample | undefined) {
    this.fine = new Ring(FINE.intervals, FINE.stepMs, now);
    this.coarse = new Ring(COARSE.intervals, COARSE.stepMs, now);
    this.#sample = sample;
  }

  /** Counts one in a column of the interval of `now`. */
  count(column: number, now: number): void {
    const { fine } = this;
    if (now >= (fine.latest + 1) * FINE.stepMs) this.roll(now);
    const at = fine.base + column;
    fine.counts[at] = (fine.counts[at] ?? 0) + 1;
  }

  /** Closes the intervals that are over: adds the latest one to its coarse interval, and reads the gauges. */
  roll(now: number): void {
    const { fine, coarse } = this;
    if (now < (fine.latest + 1) * FINE.stepMs) return;
    for (let column = 0; column < STATES_AT; column++) {
      const to = coarse.base + column;
      coarse.counts[to] = (coarse.counts[to] ?? 0) + (fine.counts[fine.base + column] ?? 0);
    }
    this.#read(now);
    fine.advance(now, this.#statesAt);
    coarse.advance(now, this.#statesAt);
  }

  /** The gauges belong to the interval that has just ended. */
  #read(now: number): void {
    const { fine, coarse } = this;
    const sample = this.#sample();
    if (sample === undefined) return;
    const { quotaLeft = Number.NaN, quotaWaiting, cooldowns } = sample;
    fine.left[fine.index] = quotaLeft;
    fine.waiting[fine.index] = quotaWaiting;
    const lowest = coarse.left[coarse.index] ?? Number.NaN;
    if (!(lowest <= quotaLeft)) coarse.left[coarse.index] = quotaLeft;
    coarse.waiting[coarse.index] = Math.max(coarse.waiting[coarse.index] ?? 0, quotaWaiting);
    // A probe can end a cooldown early, and no event reports that.
    if (cooldowns === 0) this.#cooldownUntil = Math.min(this.#cooldownUntil, now);
  }

  changed(event: ShownEvent, now: number): void {
    this.roll(now);
    if (event.type === 'breaker_changed') this.#breakerChanged(event, now);
    else {
      const { scope, cause, remainingMs } = event;
      this.#cooldownUntil = Math.max(this.#cooldownUntil, now + remainingMs);
      this.#add({ at: now, scope, kind: 'cooldown', cause, forMs: remainingMs });
    }
    for (const ring of [this.fine, this.coarse]) {
      const at = ring.index * WIDTH + STATES_AT;
      ring.counts[at] = (ring.counts[at] ?? 0) | this.#statesAt(now);
    }
  }

  #breakerChanged({ scope, from, to, cause }: BreakerChanged, now: number): void {
    this.#breakers.delete(scope);
    if (to !== 'closed') this.#breakers.set(scope, to);
    if (to === 'half_open') {
      const opened = this.events.findLast((event) => event.scope === scope && event.kind === 'open');
      if (opened !== undefined) opened.probes = (opened.probes ?? 0) + 1;
    } else if (to === 'closed' || from === 'closed') this.#add({ at: now, scope, kind: to, cause });
  }

  #add(event: TrafficEvent): void {
    this.events.push(event);
    if (this.events.length > MOST_EVENTS) this.events.shift();
  }

  readonly #statesAt = (ms: number): number => {
    let bits = ms < this.#cooldownUntil ? COOLDOWN : 0;
    for (const state of this.#breakers.values()) bits |= state === 'open' ? OPEN : HALF_OPEN;
    return bits;
  };
}
