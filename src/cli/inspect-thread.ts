import type { Answer, Question } from '../app/app.ts';
import type { Clock } from '../runtime/clock.ts';
import { startThread } from '../runtime/threads.ts';

/** Where the configuration is. Paths are relative to `cwd`. */
interface Place {
  readonly file: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Without the file, the configuration of the demo is meant. */
  readonly demo: boolean;
}

/** A question for the thread. */
export interface InspectRequest extends Place {
  readonly question: Question;
}

/** The worker is next to this file in the source. The bundle has both in one folder. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './inspect-worker.ts' : './inspect-worker.js',
  import.meta.url,
);

/** A simulation at the limit of its calls takes some seconds. */
const LONGEST_MS = 30_000;

/** The heap of the thread. It ends if it needs more; the proxy goes on. */
const HEAP_MB = 512;

/** Questions that wait for their turn. */
const MOST_WAITING = 4;

/** Answers questions about the configuration in a thread, one at a time, so that they take at most one CPU. */
export class Inspector {
  readonly #place: Place;
  readonly #clock: Clock;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(place: Place, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
  }

  async ask(question: Question): Promise<Answer> {
    if (this.#waiting >= MOST_WAITING)
      return { ok: false, status: 503, detail: 'other questions are being answered; try again' };
    this.#waiting++;
    const answer = this.#last.then(() => this.#answer(question)).finally(() => this.#waiting--);
    this.#last = answer;
    return answer;
  }

  async #answer(question: Question): Promise<Answer> {
    const workerData = { ...this.#place, env: { ...this.#place.env }, question } satisfies InspectRequest;
    const { worker, failed, fail } = startThread(
      WORKER,
      { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } },
      'the thread ended early',
    );
    const limit = this.#clock.timer(LONGEST_MS, () =>
      fail(new Error(`no answer within ${LONGEST_MS / 1_000}s`)),
    );
    try {
      return await Promise.race([failed, new Promise<Answer>((resolve) => worker.once('message', resolve))]);
    } catch (error) {
      return { ok: false, status: 503, detail: error instanceof Error ? error.message : String(error) };
    } finally {
      limit.cancel();
      void worker.terminate();
    }
  }
}
