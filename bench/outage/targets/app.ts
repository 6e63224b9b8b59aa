import type { Reply } from '../../../src/http/reply.ts';
import type { Attempt } from '../../../src/proxy/attempt.ts';
import type { Call } from '../../../src/proxy/call.ts';
import { ProxyError } from '../../../src/proxy/errors.ts';
import type { Send } from '../../../src/proxy/pipeline.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import type { Clock } from '../../../src/runtime/clock.ts';

export interface AppOptions {
  /** Each failure is repeated at the next target, until there were this many attempts. */
  readonly attempts: number;
  /** This many failures in a row take a target out; undefined: never. */
  readonly ejectedAfter?: number;
}

/** How long the first ejection lasts; the second lasts twice as long, and so on. As in Envoy. */
const EJECTION_MS = 30_000;

interface Place {
  readonly send: Send;
  failures: number;
  ejections: number;
  ejectedUntil: number;
}

/** An application, or a load balancer, that takes its targets in turn. */
export class App {
  readonly #places: readonly Place[];
  readonly #options: AppOptions & { readonly attemptMs: number };
  readonly #clock: Clock;
  #turn = 0;

  constructor(
    sends: readonly Send[],
    options: AppOptions & { /** The attempt timeout. */ readonly attemptMs: number },
    clock: Clock,
  ) {
    this.#places = sends.map((send) => ({ send, failures: 0, ejections: 0, ejectedUntil: 0 }));
    this.#options = options;
    this.#clock = clock;
  }

  readonly send: Send = async (call, attempt) => {
    let last: Place | undefined;
    for (let number = 1; ; number++) {
      const place = this.#next(last);
      const isLast = number === this.#options.attempts;
      const reply = await this.#try(place, call, attempt.with({ number })).catch((error: unknown) => {
        if (isLast || attempt.signal.aborted) throw error;
        return undefined;
      });
      if (reply !== undefined && (reply.status < 400 || isLast)) return reply;
      last = place;
    }
  };

  /** Not the one that the call comes from. If all are taken out, all get calls. */
  #next(last: Place | undefined): Place {
    const now = this.#clock.now();
    const others = this.#places.filter((one) => one !== last);
    const well = others.filter(({ ejectedUntil }) => ejectedUntil <= now);
    const choice = well.length > 0 ? well : others;
    return choice[this.#turn++ % choice.length] as Place;
  }

  async #try(place: Place, call: Call, attempt: Attempt): Promise<Reply> {
    const signal = new Abort(attempt.signal);
    const timer = this.#clock.timer(this.#options.attemptMs, () =>
      signal.abort(new ProxyError('attempt_timeout', 'the attempt timeout', { sent: 'sent_unknown' })),
    );
    try {
      const reply = await place.send(call, attempt.with({ signal }));
      this.#note(place, reply.status < 500);
      return reply;
    } catch (error) {
      if (!attempt.signal.aborted) this.#note(place, false);
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** Calls that were in flight at an ejection do not prolong it. */
  #note(place: Place, isWell: boolean): void {
    if (place.ejectedUntil > this.#clock.now()) return;
    place.failures = isWell ? 0 : place.failures + 1;
    if (place.failures !== this.#options.ejectedAfter) return;
    place.failures = 0;
    place.ejections++;
    place.ejectedUntil = this.#clock.now() + EJECTION_MS * place.ejections;
  }
}
