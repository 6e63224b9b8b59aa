import { once } from 'node:events';
import { Agent, request, type RequestOptions } from 'node:http';
import { Worker } from 'node:worker_threads';
import { BREAKWATER, breakwater, type Launched } from '../lib/contenders.ts';

const SHIFTED_CLOCK = new URL('../programs/shifted-clock.mjs', import.meta.url).href;

const COUNTING_ORIGIN = new URL('../programs/counting-origin.ts', import.meta.url);

/** An upstream that notes when each call arrives, in a thread of its own. */
export class CountingUpstream {
  readonly port: number;
  readonly #worker: Worker;

  private constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.port = port;
  }

  static async start(): Promise<CountingUpstream> {
    const worker = new Worker(COUNTING_ORIGIN);
    const [port] = (await once(worker, 'message')) as [number];
    return new CountingUpstream(worker, port);
  }

  /** Ends it. Resolves with the moments of all calls, in milliseconds as `performance.now` has them. */
  async stop(): Promise<readonly number[]> {
    this.#worker.postMessage('stop');
    const [seen] = (await once(this.#worker, 'message')) as [number[]];
    return seen.map((at) => at - performance.timeOrigin);
  }
}

/** The most of `times`, which are in order, in any `ms`. */
export function mostIn(times: readonly number[], ms: number): number {
  let [most, first] = [0, 0];
  for (const [i, at] of times.entries()) {
    while ((times[first] as number) <= at - ms) first++;
    most = Math.max(most, i - first + 1);
  }
  return most;
}

export interface FleetPlan {
  readonly store: string;
  /** Of the fleet. */
  readonly name: string;
  readonly quota: string;
  readonly tempDir: string;
  readonly fromSource: boolean;
}

/** The store, as a replica shows it. */
export interface StoreState {
  readonly used: boolean;
  readonly away?: string;
  readonly replicas: number;
}

/** A Breakwater process, with its clients. */
export class Replica {
  /** The longest time of a call with a good reply. */
  longestMs = 0;
  readonly #proxy: Launched;

  private constructor(proxy: Launched) {
    this.#proxy = proxy;
  }

  /** `shiftMs`: how far its wall clock is from that of the machine. */
  static async start(
    plan: FleetPlan,
    upstream: CountingUpstream,
    replicas: number,
    shiftMs = 0,
  ): Promise<Replica> {
    const config = () => `
shared: { store: "${plan.store}", name: ${plan.name}, replicas: ${replicas} }
upstreams:
  api: { url: "http://127.0.0.1:${upstream.port}", mount: { path: / }, allow_private: true, quota: { windows: ${plan.quota}, wait: 1s }, retry: off }
`;
    const contender = breakwater(plan.tempDir, {
      fromSource: plan.fromSource,
      config,
      ...(shiftMs === 0 ? {} : { nodeArgs: ['--import', SHIFTED_CLOCK], env: { SHIFT_MS: String(shiftMs) } }),
    });
    if (contender.missing !== undefined) throw new Error(`${BREAKWATER}: ${contender.missing}`);
    return new Replica(await contender.launch(upstream.port));
  }

  /** Offers `perSecond` calls for `ms`, whether earlier ones have ended or not. Resolves when all have ended. */
  offer(perSecond: number, ms: number): Promise<void> {
    const agent = new Agent({ keepAlive: true });
    const options = { agent, host: '127.0.0.1', port: this.#proxy.port, path: '/x' };
    const calls: Promise<void>[] = [];
    const begun = performance.now();
    return new Promise((resolve) => {
      const tick = setInterval(() => {
        const passed = performance.now() - begun;
        for (const due = (Math.min(passed, ms) / 1_000) * perSecond; calls.length < due; )
          calls.push(this.#call(options));
        if (passed < ms) return;
        clearInterval(tick);
        void Promise.all(calls).then(() => {
          agent.destroy();
          resolve();
        });
      }, TICK_MS);
    });
  }

  #call(options: RequestOptions): Promise<void> {
    const begun = performance.now();
    return new Promise((resolve) => {
      request(options, (response) => {
        response.resume().on('close', () => {
          if (response.statusCode === 200)
            this.longestMs = Math.max(this.longestMs, performance.now() - begun);
          resolve();
        });
      })
        .on('error', () => resolve())
        .end();
    });
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.#proxy.pid, name);
  }

  stop(): Promise<void> {
    return this.#proxy.stop();
  }

  async state(): Promise<StoreState> {
    const state = (await (await fetch(`http://127.0.0.1:${this.#proxy.adminPort}/api/state`)).json()) as {
      shared: StoreState;
    };
    return state.shared;
  }

  async isUsed(): Promise<boolean> {
    const text = await (await fetch(`http://127.0.0.1:${this.#proxy.adminPort}/metrics`)).text();
    return /^breakwater_shared_store_used 1$/m.test(text);
  }
}

/** How often calls are made. */
const TICK_MS = 5;
