import type { RawHeaders } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import { simulatedReply } from './reply.ts';
import type { Scenario } from './scenario.ts';
import { exponential, seededRandom, subSeed } from './seeded-random.ts';
import { Station } from './station.ts';
import { Weather } from './weather.ts';

/** Room to wait for five seconds of work. */
const QUEUE_SECONDS = 5;
/** A refusal at once still travels. */
const REFUSAL_MS = 1;

/**
 * The upstream of RPB-1 behind a `Send` like that of the data path: as many workers as the capacity takes (10 for 100
 * requests per second of 100 ms), exponential service times, a queue of five seconds of work, 503 beyond it.
 */
export class SimulatedUpstream {
  /** When each attempt reached it. */
  readonly attemptTimes: number[] = [];
  /** Requests served to the end, and those of them that nobody waited for any more. */
  served = 0;
  wasted = 0;
  readonly #clock: Clock;
  readonly #weather: Weather;
  readonly #station: Station;

  constructor(scenario: Scenario, clock: Clock) {
    this.#clock = clock;
    this.#weather = new Weather(scenario);
    const { capacityPerSecond, seed, serviceMs } = scenario;
    const random = seededRandom(subSeed(seed, 'service'));
    const workers = Math.max(1, Math.round((capacityPerSecond * serviceMs) / 1_000));
    // Workers are whole, so the capacity is kept and the time gives way.
    const meanMs = (workers * 1_000) / capacityPerSecond;
    this.#station = new Station(clock, {
      workers,
      queue: Math.ceil(QUEUE_SECONDS * capacityPerSecond),
      serviceMs: () => exponential(meanMs, random) * this.#weather.slowdown(clock.now()),
    });
  }

  /** One attempt, reported as the real innermost Send reports it. */
  readonly send: Send = async (call) => {
    const { attempt, report, signal } = call;
    const startedAt = this.#clock.now();
    if (signal.aborted) throw signal.reason;
    this.attemptTimes.push(startedAt);
    report({ type: 'attempt_started', attempt });
    try {
      const reply = await this.#exchange(call);
      report({ type: 'attempt_answered', attempt, status: reply.status, ms: this.#clock.now() - startedAt });
      return reply;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      const { code, sent, message: detail } = error;
      report({ type: 'attempt_failed', attempt, code, sent, detail, ms: this.#clock.now() - startedAt });
      throw error;
    }
  };

  #exchange({ signal, target, attempt }: Call): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.on(onAbort);
      const answer = (status: number, headers: RawHeaders = []) => {
        signal.off(onAbort);
        resolve(simulatedReply(status, headers));
      };
      const refuse = (status: number, headers?: RawHeaders) =>
        this.#clock.timer(REFUSAL_MS, () => answer(status, headers));
      const treatment = this.#weather.treat(target, attempt, this.#clock.now());
      if (treatment.kind === 'silence') return;
      if (treatment.kind === 'refuse') {
        const { status, retryAfterSeconds } = treatment;
        return void refuse(
          status,
          retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)],
        );
      }
      const taken = this.#station.offer(() => {
        this.served++;
        if (signal.aborted) this.wasted++;
        answer(200);
      });
      if (!taken) refuse(503);
    });
  }
}
