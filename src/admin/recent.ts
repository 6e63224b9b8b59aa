import type { Clock } from '../runtime/clock.ts';
import { type CallLine, callLine, callMessage } from '../telemetry/call-log.ts';
import { type CallRecord, notable, type Observer } from '../telemetry/call-record.ts';

/** A notable call as `/api/state` shows it. */
export interface RecentCall extends CallLine {
  /** End of the call, ISO 8601. */
  readonly at: string;
  readonly message: string;
}

export interface RecentOptions {
  readonly slowMs: number;
  /** Default 100. */
  readonly capacity?: number;
}

/** Ring buffer of the latest notable calls. */
export class RecentCalls implements Pick<Observer, 'callEnded'> {
  readonly #clock: Clock;
  readonly #slowMs: number;
  readonly #capacity: number;
  readonly #ring: RecentCall[] = [];
  #next = 0;

  constructor(clock: Clock, { slowMs, capacity = 100 }: RecentOptions) {
    this.#clock = clock;
    this.#slowMs = slowMs;
    this.#capacity = capacity;
  }

  callEnded(record: CallRecord): void {
    if (!notable(record, this.#slowMs)) return;
    const at = new Date(this.#clock.wallTime()).toISOString();
    this.#ring[this.#next] = { at, message: callMessage(record), ...callLine(record) };
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** Newest first. */
  list(): readonly RecentCall[] {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].reverse();
  }
}
