import type { Effect, Limits, Trouble } from '../../../src/simulate/effect.ts';
import {
  type Endpoint,
  outageScenario,
  type Scenario,
  type Service,
} from '../../../src/simulate/scenario.ts';
import { seededRandom, subSeed } from '../../../src/simulate/seeded-random.ts';

/** The combination of fault, load and settings of one seed. */
export interface Case {
  readonly seed: number;
  /** Lines below `defaults:`. */
  readonly settings: string;
  readonly scenario: Scenario;
  /** Whether it affects (nearly) every attempt at every endpoint. */
  readonly systemic: boolean;
}

const CALM_MS = 20_000;
const AFTER_MS = 60_000;

/** The random choices of a draw. */
class Dice {
  readonly roll: () => number;

  constructor(seed: number) {
    this.roll = seededRandom(subSeed(seed, 'sweep'));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.roll() * choices.length)] as T;
  }

  chance(share: number): boolean {
    return this.roll() < share;
  }
}

/** Draws settings, mostly plain defaults. None is so tight that it fails calls which succeed without a proxy. */
const SETTINGS = [
  ...Array.from({ length: 8 }, () => ''),
  'retry: off',
  'retry: { attempts: 5 }',
  'breaker: off',
  'concurrency: off',
  'quota: off',
  'timeouts: { attempt: 30s, total: 120s }',
];

export function draw(seed: number): Case {
  const dice = new Dice(seed);
  const settings = dice.pick(SETTINGS);
  const ratePerSecond = dice.pick([2, 5, 10, 20, 40]);
  const service = dice.pick(SERVICES);
  const faultMs = 1_000 * dice.pick([3, 10, 20, 40, 90]);
  const trouble = troubleOf(dice, ratePerSecond);
  const { endpoints, everywhere } = endpointsOf(dice, service, trouble);
  const scenario = outageScenario(
    { kind: 'own' },
    {
      seed,
      faultAtMs: dice.chance(0.2) ? 0 : CALM_MS,
      faultMs,
      endMs: CALM_MS + faultMs + AFTER_MS,
      ratePerSecond,
      callers: dice.pick([1, 1, 1, 3, 10]),
      serviceMs: meanOf(service),
      capacityPerSecond: dice.pick([Number.POSITIVE_INFINITY, ratePerSecond / 0.9, ratePerSecond / 0.6]),
      endpoints,
      clients: clientsOf(dice),
    },
  );
  return { seed, settings, scenario, systemic: everywhere && isTotal(trouble) };
}

const SERVICES: readonly Service[] = [
  { meanMs: 20 },
  { meanMs: 100 },
  { meanMs: 1_000 },
  { mix: [{ share: 1, ms: 3_000 }] },
  {
    mix: [
      { share: 1, ms: 50 },
      { share: 1, ms: 5_000 },
    ],
  },
  {
    mix: [
      { share: 95, ms: 50 },
      { share: 5, ms: 12_000 },
    ],
  },
];

function meanOf(service: Service): number {
  if ('meanMs' in service) return service.meanMs;
  const shares = service.mix.reduce((sum, { share }) => sum + share, 0);
  return service.mix.reduce((sum, { share, ms }) => sum + (share * ms) / shares, 0);
}

function clientsOf(dice: Dice): NonNullable<Scenario['clients']> {
  const giveUpMs = dice.pick([undefined, undefined, 15_000, 30_000]);
  return {
    ...(giveUpMs === undefined ? {} : { giveUpMs }),
    retries: dice.pick([0, 0, 2]),
    keys: dice.pick([1, 1, 4]),
  };
}

function endpointsOf(dice: Dice, service: Service, trouble: Trouble) {
  const count = dice.pick([1, 2, 4]);
  const troubled = dice.chance(0.5) ? count : Math.ceil(count / 2);
  const posts = dice.pick([0, 0.3, 1]);
  const endpoints: Endpoint[] = Array.from({ length: count }, (_, i) => ({
    path: dice.pick([`/path${i}`, `/path${i}/{n}`]),
    method: dice.chance(posts) ? 'POST' : 'GET',
    weight: dice.pick([1, 1, 5]),
    service,
    troubles: i < troubled ? [trouble] : [],
  }));
  return { endpoints, everywhere: troubled === count };
}

function troubleOf(dice: Dice, ratePerSecond: number): Trouble {
  const does = effectOf(dice, ratePerSecond);
  if (does.kind === 'limits' || does.kind === 'slows') return { does };
  const share = dice.pick([0.02, 0.1, 0.3, 0.5, 1, 1]);
  const everyMs = dice.chance(0.15) ? 1_000 * dice.pick([1, 2, 5, 20]) : undefined;
  return { does, ...(share < 1 ? { share } : {}), ...(everyMs === undefined ? {} : { everyMs }) };
}

/** Faults that affect every attempt: it fails, is late, or waits for the same resource. */
function isTotal({ share, does }: Trouble): boolean {
  return share === undefined && !(does.kind === 'limits' && does.per === 'endpoint');
}

const STATUSES = [408, 429, 429, 500, 502, 503, 503, 504, 522, 529];

function effectOf(dice: Dice, ratePerSecond: number): Effect {
  switch (dice.pick(['answers', 'answers', 'answers', 'slows', 'hangs', 'breaks', 'limits'] as const)) {
    case 'answers': {
      const status = dice.pick(STATUSES);
      const wait = dice.pick([undefined, undefined, 1, 10, 60, 3_600]);
      const headers = wait === undefined ? [] : ['Retry-After', String(wait)];
      return { kind: 'answers', status, headers, afterMs: dice.pick([1, 100, 2_000]) };
    }
    case 'slows':
      return { kind: 'slows', times: dice.pick([2, 5, 10, 30]) };
    case 'hangs':
      return { kind: 'hangs', untilOver: dice.chance(0.3) };
    case 'breaks':
      return { kind: 'breaks', code: dice.pick(['connection_refused', 'connection_terminated']) };
    case 'limits':
      return limitsOf(dice, ratePerSecond);
  }
}

function limitsOf(dice: Dice, ratePerSecond: number): Limits {
  const windowMs = 1_000 * dice.pick([1, 5, 30, 60]);
  const share = dice.pick([0, 0.2, 0.5, 0.9, 1.5]);
  return {
    kind: 'limits',
    per: dice.pick(['key', 'endpoint']),
    refill: dice.pick(['window', 'bucket']),
    requests: Math.max(1, Math.round((share * ratePerSecond * windowMs) / 1_000)),
    windowMs,
    tells: dice.pick(['nothing', 'retry-after', 'x-ratelimit']),
  };
}
