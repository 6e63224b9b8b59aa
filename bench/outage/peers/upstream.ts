import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scenario } from '../../../src/simulate/scenario.ts';
import { exponential, rollOf, subSeed } from '../../../src/simulate/seeded-random.ts';
import { Weather } from '../../../src/simulate/weather.ts';
import { ExactStation } from './exact-station.ts';
import { clockFrom, type UpstreamAsk, type UpstreamReport } from './messages.ts';

/**
 * The upstream of RPB-1 as an HTTP server on a port of the system's choice: 10 workers, exponential service of 100 ms, a
 * queue of 500, 503 beyond it; it works on for callers who have gone. Told by its parent when a scenario begins; ends with it.
 */
const WORKERS = 10;
const QUEUE_SECONDS = 5;

class UpstreamRun {
  readonly attemptTimes: number[] = [];
  served = 0;
  wasted = 0;
  readonly #scenario: Scenario;
  readonly #weather: Weather;
  readonly #clock: () => number;
  readonly #station: ExactStation;
  readonly #serviceSeed: number;
  readonly #seen = new Map<string, number>();

  constructor(scenario: Scenario, startAt: number) {
    this.#scenario = scenario;
    this.#weather = new Weather(scenario);
    this.#clock = clockFrom(startAt);
    this.#serviceSeed = subSeed(scenario.seed, 'service');
    this.#station = new ExactStation({ workers: WORKERS, queue: QUEUE_SECONDS * scenario.capacityPerSecond });
  }

  serve(target: string, res: ServerResponse): void {
    const now = this.#clock();
    const attempt = (this.#seen.get(target) ?? 0) + 1;
    this.#seen.set(target, attempt);
    this.attemptTimes.push(now);
    const treatment = this.#weather.treat(target, attempt, now);
    if (treatment.kind === 'silence') return;
    if (treatment.kind === 'refuse') return answer(res, treatment.status);
    // By name, so that the same attempt of the same call takes as long for every contender.
    const roll = rollOf(this.#serviceSeed, `${target}#${attempt}`);
    const meanMs = (WORKERS * 1_000) / this.#scenario.capacityPerSecond;
    const endsAt = this.#station.offer(
      now,
      (at) => exponential(meanMs, () => roll) * this.#weather.slowdown(at),
    );
    if (endsAt === undefined) return answer(res, 503);
    setTimeout(() => {
      this.served++;
      if (res.destroyed) this.wasted++;
      else answer(res, 200);
    }, endsAt - now);
  }

  get report(): UpstreamReport {
    const { attemptTimes, served, wasted } = this;
    return { attemptTimes, served, wasted };
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

function answer(res: ServerResponse, status: number): void {
  const body = `{"status":${status}}\n`;
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}
