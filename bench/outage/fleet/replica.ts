import { ProxyError } from '../../../src/proxy/errors.ts';
import type { Send } from '../../../src/proxy/pipeline.ts';
import { type Clock, tellTime } from '../../../src/runtime/clock.ts';

/** Starts a process. `clock`: stops when the process is killed. `number`: how many this replica has had before. */
export type Start = (clock: Clock, number: number) => Send;

/** One replica: a process, and after a kill the next one. */
export class Replica {
  readonly #start: Start;
  readonly #clock: Clock;
  /** Calls in the process. */
  readonly #calls = new Set<(error: Error) => void>();
  #started = 0;
  #process: Send;

  constructor(clock: Clock, start: Start) {
    this.#clock = clock;
    this.#start = start;
    this.#process = this.#next();
  }

  readonly send: Send = async (call, attempt) => {
    const ended = Promise.withResolvers<never>();
    this.#calls.add(ended.reject);
    try {
      return await Promise.race([this.#process(call, attempt), ended.promise]);
    } finally {
      this.#calls.delete(ended.reject);
    }
  };

  /** Ends the process as SIGKILL does, and starts another one. */
  kill(): void {
    this.#process = this.#next();
    const error = new ProxyError('connection_terminated', 'the proxy was killed', { sent: 'sent_unknown' });
    for (const reject of this.#calls) reject(error);
  }

  /** No timer of it runs any more. */
  stop(): void {
    this.#started++;
  }

  #next(): Send {
    const number = ++this.#started;
    const clock = this.#clock;
    const isAlive = () => this.#started === number;
    const own: Clock = {
      now: () => clock.now(),
      real: () => clock.real(),
      wallTime: () => clock.wallTime(),
      sleep: (ms, signal) => {
        const slept = clock.sleep(ms, signal);
        return slept.then(() => (isAlive() ? undefined : new Promise<never>(() => {})));
      },
      timer: (ms, listener) => clock.timer(ms, () => isAlive() && tellTime(listener)),
    };
    return this.#start(own, number);
  }
}
