import type { ErrorCode } from '../../proxy/errors.ts';
import type { StateEvent } from '../../proxy/events.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { CallRecord, Observer, Place } from '../call-record.ts';
import { outcomeColumn, refusalColumn, resultColumn, timeColumn } from './columns.ts';
import { type Span, type TrafficSeries, type TrafficSummary, seriesOf, summaryOf } from './series.ts';
import { type ShownEvent, type TrafficSample, UpstreamTraffic } from './upstream-traffic.ts';

const isShown = (event: StateEvent): event is ShownEvent =>
  event.type === 'breaker_changed' ||
  event.type === 'quota_cooldown_started' ||
  event.type === 'quota_cooldown_heard' ||
  event.type === 'quota_cooldown_remembered';

/**
 * The traffic of each upstream over the last 15 minutes and 6 hours, in memory. A call costs some additions and no allocation.
 * The upstreams are those of the configuration, so their number is bounded.
 */
export class Traffic implements Omit<Observer, 'attemptStarted' | 'noted'> {
  readonly #clock: Clock;
  readonly #sample: (upstream: string) => TrafficSample | undefined;
  readonly #upstreams = new Map<string, UpstreamTraffic>();

  /** `sample`: reads gauges of an upstream, at most once in 5 s. */
  constructor(clock: Clock, sample: (upstream: string) => TrafficSample | undefined) {
    this.#clock = clock;
    this.#sample = sample;
  }

  attemptEnded(result: number | ErrorCode, _ms: number, { upstream }: Place): void {
    this.#of(upstream)?.count(resultColumn(result), this.#clock.now());
  }

  callEnded({ info, outcome = 'bug', error, headMs, startedAt, ms }: CallRecord): void {
    const traffic = this.#of(info.upstream);
    if (traffic === undefined) return;
    const now = startedAt + ms;
    traffic.count(outcomeColumn(outcome), now);
    if (outcome === 'rejected') traffic.count(refusalColumn(error), now);
    else if (outcome !== 'client_gone') traffic.count(timeColumn(headMs), now);
  }

  stateChanged(upstream: string, event: StateEvent): void {
    // Of thousands of tenants, some breaker is always open: the history of the upstream has only its own state.
    if (event.tenant !== undefined) return;
    if (isShown(event)) this.#of(upstream)?.changed(event, this.#clock.now());
  }

  /** Forgets all other upstreams. */
  retain(names: ReadonlySet<string>): void {
    for (const name of this.#upstreams.keys()) if (!names.has(name)) this.#upstreams.delete(name);
  }

  /** Undefined for an upstream without any event so far. */
  series(upstream: string, span: Span): TrafficSeries | undefined {
    const traffic = this.#rolled(upstream);
    return traffic && seriesOf(traffic, span, this.#clock);
  }

  /** The last minute. Undefined for an upstream without any event so far. */
  summary(upstream: string): TrafficSummary | undefined {
    const traffic = this.#rolled(upstream);
    return traffic && summaryOf(traffic);
  }

  #rolled(upstream: string): UpstreamTraffic | undefined {
    const traffic = this.#upstreams.get(upstream);
    traffic?.roll(this.#clock.now());
    return traffic;
  }

  /** Undefined for a call that no route matched. */
  #of(upstream: string): UpstreamTraffic | undefined {
    const known = this.#upstreams.get(upstream);
    return known !== undefined || upstream === '' ? known : this.#added(upstream);
  }

  #added(upstream: string): UpstreamTraffic {
    const traffic = new UpstreamTraffic(this.#clock.now(), () => this.#sample(upstream));
    this.#upstreams.set(upstream, traffic);
    return traffic;
  }
}
