import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scenario } from '../../../src/simulate/scenario.ts';
import { type Arrival, serviceOf, trafficOf } from '../../../src/simulate/traffic.ts';
import type { Reached } from '../../../src/simulate/upstream.ts';
import { type Asked, FaultSchedule } from '../../../src/simulate/fault-schedule.ts';
import { ComputedQueue } from './computed-queue.ts';
import { clockFrom, type UpstreamAsk, type UpstreamReport } from './messages.ts';

/**
 * The upstream of RPB-1 as an HTTP server on a port of the system's choice: 10 workers, exponential service of 100 ms, a
 * queue of 500, 503 beyond it. It continues to work for callers that have disconnected. Its parent starts each scenario, and it
 * ends with its parent.
 */
const QUEUE_SECONDS = 5;

class UpstreamRun {
  readonly reached: Reached[] = [];
  served = 0;
  wasted = 0;
  readonly #scenario: Scenario;
  readonly #faults: FaultSchedule;
  readonly #clock: () => number;
  readonly #queue: ComputedQueue;
  readonly #workers: number;
  readonly #arrivals: ReadonlyMap<string, Arrival>;
  readonly #seen = new Map<string, number>();

  constructor(scenario: Scenario, startAt: number) {
    this.#scenario = scenario;
    this.#faults = new FaultSchedule(scenario);
    this.#clock = clockFrom(startAt);
    this.#arrivals = new Map(Array.from(trafficOf(scenario), (one) => [one.target, one]));
    this.#workers = Math.round((scenario.capacityPerSecond * scenario.serviceMs) / 1_000);
    this.#queue = new ComputedQueue({
      workers: this.#workers,
      queue: QUEUE_SECONDS * scenario.capacityPerSecond,
    });
  }

  serve(target: string, res: ServerResponse): void {
    const now = this.#clock();
    const arrival = this.#arrivals.get(target);
    if (arrival === undefined) return answer(res, 404);
    const { endpoint, key } = arrival;
    const attempt = (this.#seen.get(target) ?? 0) + 1;
    this.#seen.set(target, attempt);
    this.reached.push({ atMs: now, path: endpoint.path });
    const asked = { endpoint, target, attempt, key };
    const treatment = this.#faults.treat(asked, now, Date.now());
    switch (treatment.kind) {
      case 'refuse':
        return answer(res, treatment.status, treatment.headers);
      case 'break':
        return void res.destroy();
      case 'silence':
        if (!Number.isFinite(treatment.ms)) return;
        return void setTimeout(() => this.#work(asked, res, []), treatment.ms);
      case 'stream':
        throw new Error('the peers are not compared by streams');
      case 'serve':
        return this.#work(asked, res, treatment.headers);
    }
  }

  #work(asked: Asked, res: ServerResponse, headers: readonly string[]): void {
    const now = this.#clock();
    const meanMs = (this.#workers * 1_000) / this.#scenario.capacityPerSecond;
    const usualMs = serviceOf(this.#scenario, asked.endpoint, { ...asked, meanMs });
    const endsAt = this.#queue.offer(now, (at) => usualMs * this.#faults.slowdown(asked, at));
    if (endsAt === undefined) return answer(res, 503);
    setTimeout(() => {
      this.served++;
      if (res.destroyed) this.wasted++;
      else answer(res, 200, headers);
    }, endsAt - now);
  }

  get report(): UpstreamReport {
    const { reached, served, wasted } = this;
    return { reached, served, wasted };
  }
}

let run: UpstreamRun | undefined;

const server = createServer((req, res) => {
  if (run === undefined) answer(res, 503);
  else run.serve(req.url as string, res);
});
server.keepAliveTimeout = 120_000;
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));

process.on('message', (ask: UpstreamAsk) => {
  if (ask.do === 'begin') run = new UpstreamRun(ask.scenario, ask.startAt);
  process.send?.(run?.report ?? {});
});
process.on('disconnect', () => process.exit());

function answer(res: ServerResponse, status: number, headers: readonly string[] = []): void {
  const body = `{"status":${status}}\n`;
  const all = ['content-type', 'application/json', 'content-length', String(body.length), ...headers];
  res.writeHead(status, all).end(body);
}
