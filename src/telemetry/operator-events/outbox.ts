import type { OperatorEvent } from './event.ts';

/** One message, made of the latest event of its key. */
export interface OutgoingEvent {
  /** The same for every delivery of this content, so that the receiver recognises a repeat. */
  readonly id: string;
  readonly event: OperatorEvent;
  /** Wall-clock milliseconds of the event. */
  readonly at: number;
  /** How many events of its key it stands for. */
  readonly changes: number;
}

/** Events of one key are sent at most this often: at first each minute, and less often while they keep changing. */
const SHORTEST_INTERVAL_MS = 60_000;
const LONGEST_INTERVAL_MS = 10 * 60_000;

/** Keys come from the configuration (scopes, routes, certificates). Events of further keys are dropped. */
const MOST_KEYS = 1_000;

/** Waits after failed deliveries. One receiver gets all messages, so they wait together. */
const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 5 * 60_000;

interface Line {
  waiting: OutgoingEvent | undefined;
  /** The last delivery, on the scale of `now`; -Infinity before the first. */
  sentAt: number;
  /** The next delivery is not earlier. */
  notBefore: number;
  changedAt: number;
  intervalMs: number;
}

/** Added: it waits. Merged: it replaced another one of its key. Dropped: there are too many keys. */
export type Added = 'added' | 'merged' | 'dropped';

/**
 * Messages that wait for their delivery. A key has one message at a time, so that a flapping breaker is no flood, and so
 * that their number is bounded while the receiver is down.
 */
export class Outbox {
  readonly #lines = new Map<string, Line>();
  readonly #newId: () => string;
  #failures = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(newId: () => string) {
    this.#newId = newId;
  }

  /** `now`: monotonic milliseconds; `at`: the same moment by the wall clock. */
  add(event: OperatorEvent, now: number, at: number): Added {
    const line = this.#lineOf(event.key, now);
    if (line === undefined) return 'dropped';
    const { waiting } = line;
    // After a quiet time, the next event is news.
    if (waiting === undefined && now - line.changedAt >= line.intervalMs) {
      line.intervalMs = SHORTEST_INTERVAL_MS;
      line.notBefore = Math.max(now, line.sentAt + SHORTEST_INTERVAL_MS);
    }
    line.changedAt = now;
    line.waiting = { id: this.#newId(), event, at, changes: (waiting?.changes ?? 0) + 1 };
    return waiting === undefined ? 'added' : 'merged';
  }

  /** The moment of the next delivery; Infinity if no message waits. */
  nextAt(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const line of this.#lines.values())
      if (line.waiting !== undefined) earliest = Math.min(earliest, line.notBefore);
    return Math.max(earliest, this.#pausedUntil);
  }

  /** The message that has been due for longest; undefined if none is due. */
  next(now: number): OutgoingEvent | undefined {
    if (now < this.#pausedUntil) return undefined;
    let first: Line | undefined;
    for (const line of this.#lines.values()) {
      if (line.waiting === undefined || line.notBefore > now) continue;
      if (first === undefined || line.notBefore < first.notBefore) first = line;
    }
    return first?.waiting;
  }

  /** The message was delivered, or its receiver refused it for good. */
  done({ id, event: { key }, changes }: OutgoingEvent, now: number): void {
    this.#failures = 0;
    this.#pausedUntil = Number.NEGATIVE_INFINITY;
    const line = this.#lines.get(key);
    if (line === undefined) return;
    const busy = changes > 1 || now - line.sentAt < 2 * line.intervalMs;
    line.intervalMs = busy ? Math.min(LONGEST_INTERVAL_MS, 2 * line.intervalMs) : SHORTEST_INTERVAL_MS;
    line.sentAt = now;
    line.notBefore = now + line.intervalMs;
    // Another event may have come during the delivery.
    if (line.waiting?.id === id) line.waiting = undefined;
    else if (line.waiting !== undefined)
      line.waiting = { ...line.waiting, changes: line.waiting.changes - changes };
  }

  /** The delivery failed. All messages wait; `askedMs`: at least as long as the receiver asked for. `random` in [0, 1). */
  failed(now: number, random: number, askedMs = 0): void {
    const backoff = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures++);
    const wait = Math.max(backoff * (0.5 + random / 2), askedMs);
    this.#pausedUntil = now + Math.min(LONGEST_BACKOFF_MS, wait);
  }

  #lineOf(key: string, now: number): Line | undefined {
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    if (this.#lines.size >= MOST_KEYS) this.#removeIdle(now);
    if (this.#lines.size >= MOST_KEYS) return undefined;
    const line = {
      waiting: undefined,
      sentAt: Number.NEGATIVE_INFINITY,
      notBefore: now,
      changedAt: now,
      intervalMs: SHORTEST_INTERVAL_MS,
    };
    this.#lines.set(key, line);
    return line;
  }

  #removeIdle(now: number): void {
    for (const [key, { waiting, sentAt }] of this.#lines)
      if (waiting === undefined && now - sentAt >= LONGEST_INTERVAL_MS) this.#lines.delete(key);
  }
}
