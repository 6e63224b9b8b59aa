import { performance } from 'node:perf_hooks';
import type { Random } from '../../src/runtime/random.ts';
import { count, playClient, type Tally } from './client.ts';
import { LANES, type Lane, type Play } from './lanes.ts';
import { pause, type SoakedProxy } from './proxy.ts';
import type { FaultyUpstream } from './upstream.ts';

/**
 * Clients arrive at a steady rate, independent of earlier results. Clients that return as soon as they are refused would make
 * an open breaker the answer to most calls.
 */
const ARRIVALS_PER_SECOND = 60;
const TICK_MS = 50;
/** Maximum number of concurrent clients, for slow machines. */
const MOST_AT_ONCE = 64;
const RELOAD_EVERY_MS = 3_000;
const RESTART_EVERY_MS = 7_000;
/** Long enough for the clients of that time to open a breaker. */
const AWAY_MS = 250;

/** Share of clients with raw HTTP/1.1 to the upstream with faults. */
const RAW_SHARE = 0.75;

const LANE_NAMES = Object.keys(LANES);

export interface LoadParts {
  readonly proxy: SoakedProxy;
  readonly upstream: FaultyUpstream;
  readonly random: Random;
  readonly tally: Tally;
}

/** The concurrent load: clients of every kind, reloads, restarts of an upstream. */
export class Load {
  readonly #parts: LoadParts;
  readonly #tokens = new Set<string>();
  readonly #playing = new Set<Promise<void>>();

  constructor(parts: LoadParts) {
    this.#parts = parts;
  }

  /** Ends when the last client has. */
  async run(ms: number): Promise<void> {
    const { proxy, upstream } = this.#parts;
    const end = performance.now() + ms;
    const goesOn = () => performance.now() < end && proxy.exit === undefined;
    const every = async (period: number, act: () => Promise<void> | void) => {
      while (goesOn()) {
        await act();
        await pause(period);
      }
    };
    await Promise.all([
      this.#arrivals(goesOn),
      every(RELOAD_EVERY_MS, () => proxy.reload()),
      every(RESTART_EVERY_MS, async () => {
        await upstream.stop();
        await pause(AWAY_MS);
        await upstream.start();
      }),
    ]);
    await Promise.all(this.#playing);
  }

  async #arrivals(goesOn: () => boolean): Promise<void> {
    const start = performance.now();
    let arrived = 0;
    while (goesOn()) {
      const due = ((performance.now() - start) / 1_000) * ARRIVALS_PER_SECOND;
      for (; arrived < due; arrived++) if (this.#playing.size < MOST_AT_ONCE) this.#arrive();
      await pause(TICK_MS);
    }
  }

  #arrive(): void {
    const { random, proxy } = this.#parts;
    const number = Math.floor(random() * 2 ** 48);
    const token = `T${number.toString(16).padStart(12, '0')}T`;
    this.#tokens.add(token);
    const played = this.#play({ port: proxy.port, token, tokens: this.#tokens, random }).finally(() => {
      this.#tokens.delete(token);
      this.#playing.delete(played);
    });
    this.#playing.add(played);
  }

  async #play(play: Play): Promise<void> {
    const { random, tally } = this.#parts;
    if (random() < RAW_SHARE) return playClient(play, this.#tokens, tally);
    const name = LANE_NAMES[Math.floor(random() * LANE_NAMES.length)] as string;
    count(tally.plays, name);
    try {
      await inTime((LANES[name] as Lane)(play));
    } catch (error) {
      tally.problems.push(`${play.token}: ${name}: ${String(error)}`);
    }
  }
}

/** A longer call hangs. Every timeout of the proxy is far shorter. */
const HANG_MS = 25_000;

async function inTime(played: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('hung')), HANG_MS);
  });
  try {
    await Promise.race([played, late]);
  } finally {
    clearTimeout(timer);
  }
}
