/** Effect of an attempt on the window. `refused`: by the breaker, quota or limit of this proxy. */
export type AttemptFeedback = 'success' | 'refused' | 'none';

/** Limits on the attempts of a route. */
export interface SlowStartLimits {
  /** The configured number. Undefined: adaptive. */
  readonly concurrency: number | undefined;
  /** Free permits of the upstream's concurrency limit, which live calls share. Infinity without a limit. */
  readonly room: number;
}

/** Concurrent attempts of a route before anything is known about its upstream. */
const FIRST_WINDOW = 32;

/**
 * Limits the concurrent attempts of one route by a slow start (RFC 5681 §3.1), so that a backlog does not reach the
 * upstream at once. Each success adds one, which doubles the number in each round. The adaptive limit of all calls is
 * the upper bound. A refusal by this proxy resets the window.
 */
export class SlowStart {
  #busy = 0;
  /** Successful attempts that gave up their place before their result was stored. */
  #unsettled = 0;
  #window = FIRST_WINDOW;

  /**
   * Number of attempts that may begin now. At most half of the free permits are used, so that live calls find one.
   */
  free({ concurrency, room }: SlowStartLimits): number {
    const own = (concurrency ?? this.#window) - this.#busy;
    const shared = Math.floor(room / 2);
    // One attempt may always wait for a permit. Otherwise live calls could block durable requests for ever.
    return Math.max(0, Math.min(own, this.#busy === 0 ? Math.max(1, shared) : shared));
  }

  take(): void {
    this.#busy++;
  }

  /**
   * Gives up the place of a successful attempt before its result is stored: the upstream is done with it, so the next
   * attempt need not wait for the disk. False if as many results wait as attempts run. So few results are lost if the
   * process dies, also while the store is slow.
   */
  giveUp(): boolean {
    if (this.#unsettled >= this.#busy) return false;
    this.#unsettled++;
    this.#busy--;
    return true;
  }

  /** The result of an attempt that gave up its place is stored. Only now the window grows, which bounds those that wait. */
  settled(feedback: AttemptFeedback): void {
    this.#unsettled--;
    this.#learn(feedback);
  }

  release(feedback: AttemptFeedback): void {
    this.#busy--;
    this.#learn(feedback);
  }

  #learn(feedback: AttemptFeedback): void {
    if (feedback === 'success') this.#window++;
    else if (feedback === 'refused') this.#window = FIRST_WINDOW;
  }
}
