import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DemoApi, startDemoApi } from '../demo-api/server.ts';
import { startBreakwater } from '../lib/breakwater.ts';

export interface Options {
  /** The number of runs to wait for. */
  readonly runs: number;
  /** The same seed gives the same failures of the API, in the order of its requests. */
  readonly seed: number;
  /** A request every second instead of every two minutes, and an API that is faster by the same factor. */
  readonly fast: boolean;
  /** Called with each line of the story. */
  readonly say: (line: string) => void;
}

/** The reply for a reader. */
export interface Reading {
  /** The previous run. */
  readonly slot: string;
  readonly status: number;
  /** `cache`, unless the reader had to wait for the API. */
  readonly origin: string;
  /** The time of the rate, which identifies it. */
  readonly at: string;
}

export interface Story {
  readonly readings: readonly Reading[];
  /** The results of the requests that the API received. */
  readonly seen: readonly string[];
}

/** The part of the schedule's state that is read. */
interface Schedule {
  readonly last?: { readonly href: string; readonly status: string; readonly slot: string };
}

const configFor = (apiUrl: string, store: string, fast: boolean) => `
durable: { store: ${store} }
schedules:
  refresh-rates:
    cron: "${fast ? '* * * * * *' : '*/2 * * * *'}"
    request: { method: GET, path: /fx/rates/latest }
upstreams:
  fx:
    url: ${apiUrl}
    allow_private: true # this example's API is on this machine
    breaker: { failure_rate: 95%, consecutive_failures: 50 } # most calls fail there, always
    routes:
      - name: rates
        match: { method: GET, path: /rates/latest }
        cache: { ttl: ${fast ? '1m' : '10m'} } # longer than the slots are apart: some runs may take their time
        durable: { backoff: { base: ${fast ? '5ms' : '1s'}, overloaded_base: ${fast ? '5ms' : '1s'}, max: 10s } }
`;

/** Runs a cron schedule against an API that fails most of the time, with readers that get its result from the cache. */
export async function runRates({ runs, seed, fast, say }: Options): Promise<Story> {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-rates-'));
  const api = await startDemoApi({
    host: '127.0.0.1',
    port: 0,
    seed,
    habits: `fail=0.7&delay=0-${fast ? '5ms' : '10s'}`,
  });
  const proxy = await startBreakwater(configFor(api.url, join(folder, 'breakwater.db'), fast));
  const url = `${proxy.url}/fx/rates/latest`;
  say(`an API of exchange rates that fails 70 % of the time: ${api.url}`);
  say(`Breakwater asks it every ${fast ? 'second' : 'two minutes'}, until it answers; others read ${url}\n`);
  try {
    const readings: Reading[] = [];
    let known = '';
    while (readings.length < runs) {
      const { href, slot } = await nextRun(proxy.adminUrl, known);
      known = href;
      const done = await monitorOf(`${proxy.adminUrl}${href}`);
      say(`run of ${slot.slice(11, 19)}: ${done.status} after ${done.attempts.made} attempts`);
      const reading = { ...(await read(url)), slot };
      say(`  a reader: ${reading.status} from ${reading.origin}, rates of ${reading.at}`);
      readings.push(reading);
    }
    const seen = await seenBy(api);
    say(
      `\nthe API was asked ${seen.length} times and failed ${seen.filter((outcome) => outcome !== '200').length} times`,
    );
    say(
      `${readings.filter(({ origin }) => origin === 'cache').length} of ${runs} readers had their rates without a call`,
    );
    return { readings, seen };
  } finally {
    await proxy.stop();
    await api.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const LOOK_EVERY_MS = 50;

/** The run after a known one. */
async function nextRun(adminUrl: string, known: string): Promise<Required<Schedule>['last']> {
  for (;;) {
    const reply = await fetch(`${adminUrl}/_breakwater/schedules`);
    const { schedules } = (await reply.json()) as { schedules: readonly Schedule[] };
    const last = schedules[0]?.last;
    if (last !== undefined && last.href !== known) return last;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** The state of a run after its end. */
async function monitorOf(url: string): Promise<{ status: string; attempts: { made: number } }> {
  for (;;) {
    const reply = await fetch(url, { headers: { prefer: 'wait=60' } });
    const monitor = (await reply.json()) as { done: boolean; status: string; attempts: { made: number } };
    if (monitor.done) return monitor;
  }
}

/** A plain client, which knows neither the schedule nor the cache. */
async function read(url: string): Promise<Omit<Reading, 'slot'>> {
  const reply = await fetch(url);
  const { at } = (await reply.json()) as { at?: string };
  return { status: reply.status, origin: reply.headers.get('breakwater-origin') ?? '', at: at ?? 'unknown' };
}

async function seenBy(api: DemoApi): Promise<string[]> {
  const log = (await (await fetch(`${api.url}/_log?last=500`)).json()) as { outcome: string }[];
  return log.map(({ outcome }) => outcome);
}
