import { onTestFinished } from 'vitest';
import type { Random } from '../../src/runtime/random.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { startTidy, untilState } from '../support/tidy.ts';
import { type EchoOrigin, startEchoOrigin } from './echo-origin.ts';

/** FUZZ_ROUNDS for more, FUZZ_SEED for others; FUZZ_ROUND plays one round of a seed alone. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 400);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_122);
const ONLY = process.env['FUZZ_ROUND'];

/** Concurrent connections, so that a misdirected reply is detected. */
const WORKERS = 24;

/** A connection that has not ended by then hangs. Every timeout of the configuration is at most a tenth of it. */
export const HANG_MS = 10_000;

const CONFIG = (origin: EchoOrigin, http2: boolean) => `
clients: { head_timeout: 200ms, body_timeout: 100ms, http2: ${http2} }
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    retry: off
    breaker: off
    concurrency: { mode: fixed, max: 100, queue: 100, wait: 10s }
    timeouts: { attempt: 1s, total: 1s, idle: 1s }
`;

export interface Round {
  readonly number: number;
  readonly token: string;
  readonly random: Random;
}

/** The bytes to play, as latin1. */
export interface Game {
  readonly http2?: boolean;
  readonly reply: (request: string, random: Random) => string;
  readonly payload: (round: Round) => string;
  /** Sends `sent` on its own connection. Returns the received bytes until its end. */
  readonly exchange: (port: number, sent: string) => Promise<string>;
  /** Throws if the received bytes are invalid, or mention another round. */
  readonly check: (received: string, round: Round, tokens: ReadonlySet<string>) => void;
}

interface Played {
  readonly origin: EchoOrigin;
  readonly proxy: Breakwater;
  readonly failures: string[];
}

/** Plays all rounds against a proxy in front of an origin that answers with `reply`. */
export async function fuzz(game: Game): Promise<Played> {
  const origin = await startEchoOrigin(replies(game.reply));
  const proxy = await startTidy(CONFIG(origin, game.http2 ?? false));
  const tokens = new Set<string>();
  const failures: string[] = [];
  const running = new Map<number, string>();
  const strays = watchStrays(running);
  const play = async (round: Round, sent: string) => {
    running.set(round.number, sent);
    try {
      game.check(await game.exchange(proxy.port, sent), round, tokens);
    } catch (error) {
      failures.push(failureOf(round.number, String(error), sent));
    }
    running.delete(round.number);
  };
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < ROUNDS && failures.length === 0; number = next++) {
      const round = roundOf(number);
      tokens.add(round.token);
      const sent = game.payload(round);
      if (ONLY === undefined || Number(ONLY) === number) await play(round, sent);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  await strays.attribute((number, sent) => play(roundOf(number), sent), failures);
  return { origin, proxy, failures };
}

function roundOf(number: number): Round {
  const random = seededRandom(SEED + number);
  const token = `T${Math.floor(random() * 2 ** 48)
    .toString(16)
    .padStart(12, '0')}T`;
  return { number, token, random };
}

/** A round's replies depend on the round alone: on its token, and on how many of its requests came before. */
function replies(reply: Game['reply']): (request: string) => string {
  const asked = new Map<string, number>();
  return (request) => {
    const token = tokenIn(request);
    const before = asked.get(token) ?? 0;
    asked.set(token, before + 1);
    return reply(request, seededRandom((SEED ^ Number.parseInt(token.slice(5, 12), 16)) + before));
  };
}

const failureOf = (number: number, why: string, sent: string): string =>
  `FUZZ_SEED=${SEED} FUZZ_ROUND=${number}: ${why}\nsent ${JSON.stringify(sent)}`;

/** Exceptions from event handlers, which would end the process. Every round that is running then is a suspect. */
function watchStrays(running: ReadonlyMap<number, string>) {
  const suspects = new Map<number, string>();
  const strays: string[] = [];
  const others = process.listeners('uncaughtException');
  const onStray = (error: Error) => {
    strays.push(error.stack ?? String(error));
    for (const [number, sent] of running) suspects.set(number, sent);
  };
  process.removeAllListeners('uncaughtException').on('uncaughtException', onStray);
  onTestFinished(() => {
    process.off('uncaughtException', onStray);
    for (const other of others) process.on('uncaughtException', other);
  });
  return {
    /** Runs each suspect alone, and names the one that fails again. */
    attribute: async (play: (number: number, sent: string) => Promise<void>, failures: string[]) => {
      const [first] = strays;
      if (first === undefined) return;
      for (const [number, sent] of suspects) {
        const before = strays.length;
        await play(number, sent);
        if (strays.length > before) return void failures.push(failureOf(number, first, sent));
      }
      failures.push(`FUZZ_SEED=${SEED}, none of rounds ${[...suspects.keys()].join()} alone: ${first}`);
    },
  };
}

/** Problems after the end of all calls. The upstream must not have received more requests than the proxy counts. */
export async function settled({ origin, proxy, failures }: Played) {
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
  const attempts = proxy.ended.reduce((sum, record) => sum + record.attempts, 0);
  const enough = ONLY === undefined ? ROUNDS / 2 : 0;
  return {
    failures,
    violations: origin.violations,
    smuggled: Math.max(0, origin.requests - attempts),
    played: origin.requests >= enough,
  };
}

export const FINE = { failures: [], violations: [], smuggled: 0, played: true };

export const tokenIn = (request: string) => /T[\da-f]{12}T/.exec(request)?.[0] ?? 'none';

/** Other clients that `text` mentions. */
export function expectOnly({ token }: Round, text: string, tokens: ReadonlySet<string>): void {
  for (const [other] of text.matchAll(/T[\da-f]{12}T/g)) {
    if (other !== token && tokens.has(other)) throw new Error(`got the reply of ${other}`);
  }
}
