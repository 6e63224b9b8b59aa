/** The events of one stream and the gaps between them. Time without the client's reading is no gap of the upstream. */
export class Progress {
  events = 0;
  /** Milliseconds between two events; 0 for less than two. */
  longestGapMs = 0;
  #since: number;

  /** `now`: the arrival of the head. */
  constructor(now: number) {
    this.#since = now;
  }

  event(now: number): void {
    this.#gapEnds(now);
    this.events++;
    this.#since = now;
  }

  /** Call at the end of the stream. Its last gap counts too. */
  end(now: number): void {
    this.#gapEnds(now);
  }

  /** Call if nothing could be read until `now`, for a reason on the client's side. */
  restart(now: number): void {
    this.#since = Math.max(this.#since, now);
  }

  /** Milliseconds since the head, the last event or the last `restart`. */
  silentMs(now: number): number {
    return now - this.#since;
  }

  #gapEnds(now: number): void {
    if (this.events > 0) this.longestGapMs = Math.max(this.longestGapMs, now - this.#since);
  }
}
