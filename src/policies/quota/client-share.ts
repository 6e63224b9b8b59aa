import type { CountedWindows } from './counted-windows.ts';
import type { Gcra } from './gcra.ts';
import type { Limiter } from './limiter.ts';
import type { QuotaWindow } from './options.ts';

/** Units that a client has taken of a learned quota, until it is full again. */
interface Taken {
  units: number;
  readonly since: number;
  readonly until: number;
}

interface Source extends Pick<QuotaWindow, 'counts'> {
  readonly gcra: Gcra;
}

/** The part of a limiter that a share is measured by. */
type Measured = Pick<Limiter, 'meters'>;

/**
 * The share of one client in the quotas of a credential. It is an upper bound, and holds while others are idle too: units that
 * are left for others are there when they come. Of a configured window, the client has a window with its share of the limit. Of a
 * learned quota, it has its share of the limit until the quota is full again. One call may pass even if it costs more than that.
 */
export class ClientShare {
  readonly share: number;
  readonly #windows: readonly QuotaWindow[];
  readonly #counted: CountedWindows;
  /** Undefined until the first use. */
  #sources: readonly Source[] | undefined = undefined;
  /** By the name of the meter. A credential has few. */
  readonly #taken: Map<string, Taken>;

  /** `counted`: what the client has used of windows. `before`: the share that this one replaces. What was used of it stays used. */
  constructor(
    share: number,
    windows: readonly QuotaWindow[],
    counted: CountedWindows,
    before: ClientShare | undefined,
  ) {
    this.share = share;
    this.#counted = counted;
    this.#taken = before === undefined ? new Map<string, Taken>() : before.#taken;
    this.#windows = windows.map((window) => {
      const { burst, limit, periodMs } = window;
      return { ...window, limit: limit * share, burst: burstOf(limit, burst, periodMs, share) };
    });
  }

  /** When the client may send a call, at `now` or later. */
  readyAt(limiters: readonly Measured[], cost: number, now: number): number {
    let at = now;
    for (const { counts, gcra } of this.#sourcesAt(now))
      at = Math.max(at, gcra.readyAt(0, unitsOf(counts, cost), now));
    this.#eachMeter(limiters, (key, meter) => {
      const taken = this.#takenOf(key, now);
      if (taken === undefined || meter.limit === undefined) return;
      if (taken.units + unitsOf(meter.unit, cost) > meter.limit * this.share) at = Math.max(at, taken.until);
    });
    return at;
  }

  take(limiters: readonly Measured[], cost: number, now: number): void {
    for (const { counts, gcra } of this.#sourcesAt(now)) gcra.take(unitsOf(counts, cost), now);
    this.#eachMeter(limiters, (key, meter) => {
      const fullMs = meter.fullMs(now);
      if (fullMs === undefined) return;
      const taken = this.#takenOf(key, now) ?? { units: 0, since: now, until: now + fullMs };
      taken.units += unitsOf(meter.unit, cost);
      this.#taken.set(key, taken);
    });
  }

  /** A call that was taken at `at` for `cost` has cost `actual`; 0 if nothing of it reached the upstream. */
  correct(limiters: readonly Measured[], { at, cost, actual }: Correction, now: number): void {
    for (const { counts, gcra } of this.#sourcesAt(now))
      gcra.correct(unitsOf(counts, cost), actual === 0 ? 0 : unitsOf(counts, actual));
    this.#eachMeter(limiters, (key, meter) => {
      const taken = this.#takenOf(key, now);
      if (taken === undefined || taken.since > at) return;
      const less = unitsOf(meter.unit, cost) - (actual === 0 ? 0 : unitsOf(meter.unit, actual));
      taken.units = Math.max(0, taken.units - less);
    });
  }

  #sourcesAt(now: number): readonly Source[] {
    this.#sources ??= this.#counted
      .follow(this.#windows, now)
      .map((gcra, i) => ({ gcra, counts: (this.#windows[i] as QuotaWindow).counts }));
    return this.#sources;
  }

  #eachMeter(
    limiters: readonly Measured[],
    act: (key: string, meter: Measured['meters'][number]) => void,
  ): void {
    for (const [index, { meters }] of limiters.entries())
      for (const meter of meters) act(`${index} ${meter.bucket} ${meter.policy}`, meter);
  }

  /** Undefined if the quota is full again since, so that nothing of it counts. */
  #takenOf(key: string, now: number): Taken | undefined {
    const taken = this.#taken.get(key);
    if (taken === undefined || now < taken.until) return taken;
    this.#taken.delete(key);
    return undefined;
  }
}

/** The real cost of a call. */
export interface Correction {
  readonly at: number;
  readonly cost: number;
  readonly actual: number;
}

const unitsOf = (counts: QuotaWindow['counts'], cost: number): number => (counts === 'calls' ? 1 : cost);

/** A window of a second or less is spread by `Gcra`. The burst of a longer one is its share, and at least one call. */
function burstOf(
  limit: number,
  burst: number | undefined,
  periodMs: number,
  share: number,
): number | undefined {
  if (burst === undefined && periodMs <= 1_000) return undefined;
  return Math.max(1, (burst ?? limit) * share);
}
