import { setTimeout as sleep } from 'node:timers/promises';

export interface OutageOptions {
  /** URL of the demo API through the proxy, without a trailing slash. */
  readonly api: string;
  /** URL of the demo API itself, which is switched off during the outage. */
  readonly direct: string;
  /** URL of the admin server. */
  readonly admin: string;
  /** Seconds before, during and after the outage. */
  readonly before: number;
  readonly outage: number;
  readonly after: number;
  /** Calls per second. */
  readonly rps: number;
  readonly say: (line: string) => void;
}

/** Calls of one part of the run. */
export interface Counted {
  calls: number;
  good: number;
}

type Part = 'before' | 'outage' | 'after';

/** Lines are printed this often, in seconds. */
const LINE_SECONDS = 5;

/** A call that takes longer is counted as failed. */
const CALL_MS = 15_000;

/** Calls the demo API through the proxy, switches the API off for a while, and says how the calls end. */
export async function runOutage(options: OutageOptions): Promise<Readonly<Record<Part, Counted>>> {
  const { api, direct, before, outage, after, rps, say } = options;
  const counts = { before: none(), outage: none(), after: none() };
  const running = new Set<Promise<void>>();
  const seconds = before + outage + after;
  let recent = none();
  for (let n = 0; n < seconds * rps; n++) {
    const second = n / rps;
    const part = second < before ? 'before' : second < before + outage ? 'outage' : 'after';
    if (second === before) {
      await fetch(`${direct}/_outage?on=true&for=${outage}s`, { method: 'PUT' });
      say(`--- the API is switched off for ${outage} s ---`);
    }
    if (second === before + outage) say('--- the API is back ---');
    const call = callOnce(`${api}${pathOf(n)}`).then((good) => {
      for (const count of [counts[part], recent]) {
        count.calls++;
        if (good) count.good++;
      }
    });
    running.add(call);
    void call.finally(() => running.delete(call));
    await sleep(1_000 / rps);
    if ((n + 1) % (LINE_SECONDS * rps) === 0) {
      say(await lineOf(Math.round((n + 1) / rps), recent, options));
      recent = none();
    }
  }
  await Promise.all(running);
  return counts;
}

const none = (): Counted => ({ calls: 0, good: 0 });

/** Orders that answer in 20 to 120 ms, of which 3 % fail at random. */
const pathOf = (n: number): string => `/orders/${n % 100}?fail=0.03&delay=20-120ms`;

async function callOnce(url: string): Promise<boolean> {
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(CALL_MS) });
    await reply.arrayBuffer();
    return reply.ok;
  } catch {
    return false;
  }
}

async function lineOf(second: number, { calls, good }: Counted, { admin }: OutageOptions): Promise<string> {
  const share = calls === 0 ? '' : `, ${Math.floor((100 * good) / calls)} % succeed`;
  return `${String(second).padStart(4)} s  ${String(calls).padStart(4)} calls${share}, breaker ${await breakerOf(admin)}`;
}

async function breakerOf(admin: string): Promise<string> {
  const state = (await (await fetch(`${admin}/api/state`)).json()) as {
    readonly upstreams: readonly {
      readonly name: string;
      readonly scopes: readonly { readonly breaker?: { readonly state: string } }[];
    }[];
  };
  const demo = state.upstreams.find(({ name }) => name === 'demo');
  return demo?.scopes[0]?.breaker?.state ?? 'off';
}
