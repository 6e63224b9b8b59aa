import type { Random } from '../../src/runtime/random.ts';
import type { Breakwater } from '../support/breakwater.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { startTidy, untilState } from '../support/tidy.ts';
import { type EchoOrigin, startEchoOrigin } from './echo-origin.ts';

/** FUZZ_ROUNDS for more, FUZZ_SEED for others; FUZZ_ROUND plays one round of a seed alone. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 400);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_122);
const ONLY = process.env['FUZZ_ROUND'];

/** Connections at the same time, so that a reply has others to go wrong to. */
const WORKERS = 24;

/** A connection that has not ended by then hangs: every timeout of the configuration is a tenth of it at most. */
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

/** What is played, bytes as latin1. */
export interface Game {
  readonly http2?: boolean;
  readonly reply: (request: string, random: Random) => string;
  readonly payload: (round: Round) => string;
  /** Plays `sent` on a connection of its own; gives what came back until its end. */
  readonly exchange: (port: number, sent: string) => Promise<string>;
  /** Throws where what came back is flawed, or speaks of anybody else than the round. */
  readonly check: (received: string, round: Round, tokens: ReadonlySet<string>) => void;
}

interface Played {
  readonly origin: EchoOrigin;
  readonly proxy: Breakwater;
  readonly failures: string[];
}

/** Plays all rounds against a proxy in front of an origin that answers with `reply`. */
export async function fuzz({ http2 = false, reply, payload, exchange, check }: Game): Promise<Played> {
  const replies = seededRandom(SEED ^ 0x5eed);
  const origin = await startEchoOrigin((request) => reply(request, replies));
  const proxy = await startTidy(CONFIG(origin, http2));
  const tokens = new Set<string>();
  const failures: string[] = [];
  let next = 0;
  const worker = async () => {
    for (let number = next++; number < ROUNDS && failures.length === 0; number = next++) {
      const random = seededRandom(SEED + number);
      const token = `T${Math.floor(random() * 2 ** 48)
        .toString(16)
        .padStart(12, '0')}T`;
      tokens.add(token);
      const round = { number, token, random };
      const sent = payload(round);
      if (ONLY !== undefined && Number(ONLY) !== number) continue;
      try {
        check(await exchange(proxy.port, sent), round, tokens);
      } catch (error) {
        failures.push(
          `FUZZ_SEED=${SEED} FUZZ_ROUND=${number}: ${String(error)}\nsent ${JSON.stringify(sent)}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
  return { origin, proxy, failures };
}

/** What went wrong, the proxy at rest again; the upstream has to get no more than what the proxy says it sent. */
export async function settled({ origin, proxy, failures }: Played) {
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
  const attempts = proxy.ended.reduce((sum, record) => sum + record.attempts, 0);
  const enough = ONLY === undefined ? ROUNDS / 2 : 0;
  return {
    failures,
    flaws: origin.flaws,
    smuggled: Math.max(0, origin.requests - attempts),
    played: origin.requests >= enough,
  };
}

export const FINE = { failures: [], flaws: [], smuggled: 0, played: true };

export const tokenIn = (request: string) => /T[\da-f]{12}T/.exec(request)?.[0] ?? 'none';

/** Who else is spoken of in `text`. */
export function expectOnly({ token }: Round, text: string, tokens: ReadonlySet<string>): void {
  for (const [other] of text.matchAll(/T[\da-f]{12}T/g)) {
    if (other !== token && tokens.has(other)) throw new Error(`got the reply of ${other}`);
  }
}
