/** What an attempt says about how many may run beside it. `refused`: a guard of our own did not let it through. */
export type AttemptFeedback = 'success' | 'refused' | 'none';

/** What limits the attempts of a route. */
export interface SlowStartLimits {
  /** The operator's number; undefined: as many as the upstream bears. */
  readonly concurrency: number | undefined;
  /** Free permits of the upstream's limit, which live calls use too; Infinity while there is no limit. */
  readonly room: number;
}

/** Attempts of a route that run at once before anything is known of its upstream. */
const FIRST_WINDOW = 32;

/**
 * The attempts of one route that run, and how many more may begin. Durable work is not in a hurry, so a backlog does not
 * fall on the upstream all at once: each good answer makes room for one more beside the one that it ends, which doubles their
 * number in each round (TCP's slow start). What limits them in the end is the adaptive limit of all calls. A refusal by
 * our own guards starts again from the beginning.
 */
export class SlowStart {
  #busy = 0;
  #window = FIRST_WINDOW;

  /** Attempts that may begin now. Of the permits that are left durable work takes half, so that a live call finds one. */
  free({ concurrency, room }: SlowStartLimits): number {
    const own = (concurrency ?? this.#window) - this.#busy;
    const shared = Math.floor(room / 2);
    // One attempt may always wait for a permit: otherwise live calls could keep durable work from ever running.
    return Math.max(0, Math.min(own, this.#busy === 0 ? Math.max(1, shared) : shared));
  }

  take(): void {
    this.#busy++;
  }

  release(feedback: AttemptFeedback): void {
    this.#busy--;
    if (feedback === 'success') this.#window++;
    else if (feedback === 'refused') this.#window = FIRST_WINDOW;
  }
}
