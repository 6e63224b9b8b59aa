import type { Clock } from '../runtime/clock.ts';
import { type CallLine, callLine, callMessage } from '../telemetry/call-log.ts';
import { type CallRecord, notable, type Observer } from '../telemetry/call-record.ts';

/** A notable call as `/api/calls` shows it. */
export interface RecentCall extends CallLine {
  /** End of the call, ISO 8601. */
  readonly at: string;
  readonly message: string;
}

/** Calls of one route that ended in the same way. */
export interface CallGroup {
  /** Names the group in `CallFilter.open`. */
  readonly key: string;
  /** Calls since the start of the proxy. More than are in memory, if there are many. */
  readonly count: number;
  readonly first_at: string;
  readonly latest: RecentCall;
  /** Newest first. Undefined unless the group is open, or the filter names an id or a text. */
  readonly calls?: readonly RecentCall[];
}

/** Which calls to list. All that are given must match. */
export interface CallFilter {
  readonly upstream?: string | undefined;
  readonly outcome?: string | undefined;
  /** The id, or its beginning. */
  readonly id?: string | undefined;
  /** A part of the id, the path, or the sentence of the log, in any case. */
  readonly text?: string | undefined;
  /** Keys of the groups whose calls are listed. */
  readonly open?: readonly string[] | undefined;
}

export interface HistoryOptions {
  readonly slowMs: number;
  /** Maximum number of calls in memory. Default 2000: about 4 MB. */
  readonly capacity?: number;
}

/** Groups in memory. Each route has few ways to fail, but there may be many routes. */
const MOST_GROUPS = 300;

/** Calls of one group: enough to find by its id a call of the last minutes. */
const MOST_CALLS = 200;

/** Refused calls have no attempts, so that one is like the other. */
const MOST_REFUSALS = 50;

interface Ended {
  readonly record: CallRecord;
  readonly wallTime: number;
  /** Its place among all notable calls; the first is 1. */
  readonly number: number;
}

interface Group {
  readonly key: string;
  readonly firstAt: number;
  count: number;
  /** Oldest first. */
  readonly calls: Ended[];
}

/**
 * The latest notable calls, in groups of calls that ended in the same way. A group has a limit of its own, so that many equal
 * refusals do not push out a failure.
 */
export class CallHistory implements Pick<Observer, 'callEnded'> {
  readonly #clock: Clock;
  readonly #capacity: number;
  /** In the order of the latest call, oldest first. */
  readonly #groups = new Map<string, Group>();
  #size = 0;
  /** From the configuration in effect. */
  slowMs: number;
  /** Number of notable calls so far. */
  seen = 0;

  constructor(clock: Clock, { slowMs, capacity = 2_000 }: HistoryOptions) {
    this.#clock = clock;
    this.slowMs = slowMs;
    this.#capacity = capacity;
  }

  callEnded(record: CallRecord): void {
    if (!notable(record, this.slowMs)) return;
    this.seen++;
    const key = keyOf(record);
    const wallTime = this.#clock.wallTime();
    const group = this.#groups.get(key) ?? { key, firstAt: wallTime, count: 0, calls: [] };
    this.#groups.delete(key);
    this.#groups.set(key, group);
    group.count++;
    group.calls.push({ record, wallTime, number: this.seen });
    this.#size++;
    if (group.calls.length > (isRefusal(record) ? MOST_REFUSALS : MOST_CALLS)) this.#shorten(group);
    if (this.#groups.size > MOST_GROUPS) this.#drop();
    if (this.#size > this.#capacity) this.#shorten(this.#largest());
  }

  #shorten(group: Group): void {
    group.calls.shift();
    this.#size--;
  }

  /** Drops the group whose latest call is the oldest. */
  #drop(): void {
    for (const [key, { calls }] of this.#groups) {
      this.#groups.delete(key);
      this.#size -= calls.length;
      return;
    }
  }

  #largest(): Group {
    let largest: Group | undefined;
    for (const group of this.#groups.values())
      if (largest === undefined || group.calls.length > largest.calls.length) largest = group;
    return largest as Group;
  }

  /** The calls in memory that ended after the first `after` ones, oldest first. `missed`: those that are no longer in memory. */
  listAfter(
    after: number,
    filter: CallFilter = {},
  ): { readonly calls: RecentCall[]; readonly missed: number } {
    const later: Ended[] = [];
    for (const { calls } of this.#groups.values())
      for (const call of calls) if (call.number > after) later.push(call);
    const missed = Math.max(0, this.seen - after) - later.length;
    const found = later.filter(({ record }) => matches(record, filter)).sort((a, b) => a.number - b.number);
    return { calls: found.map(shownCall), missed };
  }

  /** Groups with a call that matches, the latest call first. */
  list(filter: CallFilter = {}): CallGroup[] {
    return [...this.#groups.values()].flatMap((group) => shownGroup(group, filter) ?? []).reverse();
  }
}

/** Undefined if no call of the group matches. A search shows all that it found, and counts only these. */
function shownGroup({ key, count, firstAt, calls }: Group, filter: CallFilter): CallGroup | undefined {
  const found = calls.filter(({ record }) => matches(record, filter)).reverse();
  const [latest, oldest] = [found[0], found.at(-1)];
  if (latest === undefined || oldest === undefined) return undefined;
  const searched = filter.id !== undefined || filter.text !== undefined;
  const group = {
    key,
    count: searched ? found.length : count,
    first_at: new Date(searched ? oldest.wallTime : firstAt).toISOString(),
    latest: shownCall(latest),
  };
  return searched || filter.open?.includes(key) === true ? { ...group, calls: found.map(shownCall) } : group;
}

const isRefusal = ({ notes, outcome }: CallRecord): boolean =>
  outcome === 'rejected' || (outcome === 'ok' && notes.shadow_rejected !== undefined);

/** The parts of a call that are the same in its group. */
function keyOf({ info, outcome, error, notes, status }: CallRecord): string {
  const shadow = notes.shadow_rejected === undefined ? '' : ` shadow ${notes.shadow_rejected}`;
  return `${info.upstream}/${info.route} ${outcome ?? ''} ${error ?? status}${shadow}`;
}

function shownCall({ record, wallTime }: Ended): RecentCall {
  return { at: new Date(wallTime).toISOString(), message: callMessage(record), ...callLine(record) };
}

function matches(record: CallRecord, { upstream, outcome, id, text }: CallFilter): boolean {
  const { info } = record;
  if (upstream !== undefined && info.upstream !== upstream) return false;
  if (outcome !== undefined && record.outcome !== outcome) return false;
  if (id !== undefined && !info.id.startsWith(id)) return false;
  if (text === undefined) return true;
  return `${info.id} ${callMessage(record)}`.toLowerCase().includes(text.toLowerCase());
}
