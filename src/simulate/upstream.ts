import type { Reply } from '../http/reply.ts';
import type { Attempt } from '../proxy/attempt.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import { simulatedReply } from './reply.ts';
import { type Endpoint, isStreaming, type Scenario } from './scenario.ts';
import { SimulatedStream } from './simulated-stream.ts';
import { type StreamTexts, streamTexts } from './stream-texts.ts';
import { WorkerQueue } from './worker-queue.ts';
import { serviceOf } from './traffic.ts';
import { type Asked, type Treatment, FaultSchedule } from './fault-schedule.ts';

/** The queue holds this many seconds of work. */
const QUEUE_SECONDS = 5;
/** Time of an immediate refusal on the network. */
const REFUSAL_MS = 1;

/** Properties of a call that the upstream sees. */
export interface Known {
  readonly endpoint: Endpoint;
  readonly key: string | undefined;
}

/** The streams of an upstream. */
export interface Streams {
  readonly texts: StreamTexts;
  /** A stream without a byte for this long breaks. */
  readonly idleTimeoutMs: number;
}

const PLAIN_STREAMS: Streams = { texts: streamTexts(undefined), idleTimeoutMs: Number.POSITIVE_INFINITY };

/** One attempt that reached the upstream. */
export interface Reached {
  readonly atMs: number;
  readonly path: string;
  /** Name of the target; undefined: targets are not simulated. */
  readonly target?: string | undefined;
}

/**
 * The upstream of RPB-1 behind a `Send` like that of the data path. It has as many workers as the capacity needs: 10 for 100
 * requests per second of 100 ms. Service times are exponential. The queue holds five seconds of work; beyond it, 503.
 */
export class SimulatedUpstream {
  readonly reached: Reached[] = [];
  /** Requests served, and those of them whose client no longer waited. */
  served = 0;
  wasted = 0;
  /** Attempts that it turned away because its queue was full. */
  shed = 0;
  readonly #clock: Clock;
  readonly #scenario: Scenario;
  readonly #faults: FaultSchedule;
  readonly #workers: WorkerQueue;
  readonly #meanMs: number;
  readonly #known: (target: string) => Known;
  readonly #streams: Streams;
  readonly #seen: Map<string, number>;

  /** `seen`: the attempts of each call so far. Targets share it. */
  constructor(
    scenario: Scenario,
    clock: Clock,
    known: (target: string) => Known,
    { streams = PLAIN_STREAMS, seen = new Map<string, number>() } = {},
  ) {
    this.#clock = clock;
    this.#scenario = scenario;
    this.#faults = new FaultSchedule(scenario);
    this.#known = known;
    this.#streams = streams;
    this.#seen = seen;
    const { capacityPerSecond, serviceMs } = scenario;
    const workers = Math.max(1, Math.round((capacityPerSecond * serviceMs) / 1_000));
    // The number of workers is rounded, so the service time is adjusted to the capacity.
    this.#meanMs = Number.isFinite(workers) ? (workers * 1_000) / capacityPerSecond : serviceMs;
    this.#workers = new WorkerQueue(clock, { workers, queue: Math.ceil(QUEUE_SECONDS * capacityPerSecond) });
  }

  /** One attempt, reported like that of the real innermost Send. */
  readonly send: Send = async (call, attempt) => {
    const { journal } = call;
    const { number, signal } = attempt;
    const startedAt = this.#clock.now();
    if (signal.aborted) throw signal.reason;
    journal.attemptStarted(number);
    attempt.startListener?.started(attempt.watch);
    try {
      const reply = await this.#exchange(call, attempt);
      attempt.onReached?.();
      if (attempt.answersLater?.(reply) !== true)
        journal.attemptAnswered(number, reply, this.#clock.now() - startedAt);
      return reply;
    } catch (error) {
      if (!(error instanceof ProxyError)) throw error;
      if (error.sent !== 'not_sent') attempt.onReached?.();
      journal.attemptFailed(number, error, this.#clock.now() - startedAt);
      throw error;
    }
  };

  #exchange({ target }: Call, { signal }: Attempt): Promise<Reply> {
    const now = this.#clock.now();
    const { endpoint, key } = this.#known(target);
    const attempt = (this.#seen.get(target) ?? 0) + 1;
    this.#seen.set(target, attempt);
    const asked = { endpoint, target, attempt, key };
    const treatment = this.#faults.treat(asked, now, this.#clock.wallTime());
    if (!(treatment.kind === 'break' && treatment.code === 'connection_refused'))
      this.reached.push({ atMs: now, path: endpoint.path });
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason);
      signal.on(onAbort);
      const done: Ends = {
        answer: (status, headers = []) => {
          signal.off(onAbort);
          resolve(simulatedReply(status, headers));
        },
        stream: (headers) => {
          const body = new SimulatedStream(this.#clock, signal, this.#streams.idleTimeoutMs);
          this.#clock.timer(REFUSAL_MS, () => {
            signal.off(onAbort);
            resolve({ ...simulatedReply(200, headers), headers: [...SSE, ...headers], body });
          });
          return body;
        },
        fail: (error) => {
          signal.off(onAbort);
          reject(error);
        },
        abandoned: () => signal.aborted,
      };
      this.#handle(treatment, done, () => this.#serviceMs(asked));
    });
  }

  #serviceMs(asked: Asked): number {
    const usual = serviceOf(this.#scenario, asked.endpoint, { ...asked, meanMs: this.#meanMs });
    return usual * this.#faults.slowdown(asked, this.#clock.now());
  }

  #handle(treatment: Treatment, done: Ends, serviceMs: () => number): void {
    switch (treatment.kind) {
      case 'serve':
        return this.#serve(treatment, done, serviceMs);
      case 'refuse': {
        const { afterMs = REFUSAL_MS, headers, status } = treatment;
        return void this.#clock.timer(afterMs, () => done.answer(status, headers));
      }
      case 'stream': {
        const stream = done.stream([]);
        if (treatment.content === 'error') stream.write(this.#streams.texts.error);
        return;
      }
      case 'break': {
        const sent = treatment.code === 'connection_refused' ? 'not_sent' : 'sent_unknown';
        const error = new ProxyError(treatment.code, 'simulated', { sent });
        return void this.#clock.timer(REFUSAL_MS, () => done.fail(error));
      }
      case 'silence':
        if (!Number.isFinite(treatment.ms)) return;
        return void this.#clock.timer(treatment.ms, () => this.#serve({ headers: [] }, done, serviceMs));
    }
  }

  #serve({ headers }: { readonly headers: readonly string[] }, done: Ends, serviceMs: () => number): void {
    let stream: SimulatedStream | undefined;
    const taken = this.#workers.offer(serviceMs, () => {
      this.served++;
      if (done.abandoned() || stream?.isOpen === false) this.wasted++;
      if (stream === undefined) done.answer(200, headers);
      else stream.write(this.#streams.texts.good);
    });
    if (taken && isStreaming(this.#scenario)) stream = done.stream(headers);
    if (taken) return;
    this.shed++;
    this.#clock.timer(REFUSAL_MS, () => done.answer(503));
  }
}

const SSE = ['Content-Type', 'text/event-stream'];

/** The ends of an attempt. */
interface Ends {
  readonly answer: (status: number, headers?: readonly string[]) => void;
  /** The head of a stream, whose events follow. */
  readonly stream: (headers: readonly string[]) => SimulatedStream;
  readonly fail: (error: ProxyError) => void;
  readonly abandoned: () => boolean;
}
