import type { Effect, Trouble } from '../../src/simulate/effect.ts';
import { type Endpoint, outageScenario, type Scenario } from '../../src/simulate/scenario.ts';
import type { Subject } from '../../src/simulate/sidecar.ts';
import { simulate, simulateDirect } from '../../src/simulate/simulate.ts';
import {
  ALL,
  after,
  amplify,
  at,
  attempts,
  type Bound,
  back,
  during,
  elsewhere,
  fail,
  noWorseThanDirect,
  opens,
  perMinute,
  succeed,
  wait,
} from './bounds.ts';
import { plainSubject } from './default-policy.ts';
import type { Reading } from './gates.ts';

/** A situation of RPB-2 at plain defaults, with its bounds. */
export interface Row {
  readonly id: string;
  readonly name: string;
  readonly scenario: Omit<Scenario, 'seed'>;
  readonly policy?: { readonly defaults?: string; readonly preset?: string };
  readonly bounds: readonly Bound[];
}

/** Bounds that the defaults do not hold yet: reported, but not a gate. */
export const OPEN: ReadonlySet<Row['name']> = new Set(['2 % random 503, Retry-After 60']);

const OWN = { kind: 'own' } as const;
/** An upstream with unlimited capacity. */
const AMPLE = Number.POSITIVE_INFINITY;
const WELL: readonly Trouble[] = [];

const answers = (status: number, ...headers: string[]): Effect => ({ kind: 'answers', status, headers });

/** For `seconds`, one GET in fifty takes `ms`, and the others take 50 ms. */
const oneInFifty = (seconds: number, ms: number): Scenario =>
  always(seconds, {
    ratePerSecond: 10,
    endpoints: [
      {
        path: '/orders/{n}',
        troubles: WELL,
        service: {
          mix: [
            { share: 1, ms },
            { share: 49, ms: 50 },
          ],
        },
      },
    ],
  });

/** A fault from the start to the end of the load. */
function always(seconds: number, changes: Partial<Scenario>): Scenario {
  const ms = 1_000 * seconds;
  // The fault outlasts the load, so that late retries meet it too.
  return outageScenario(OWN, {
    faultAtMs: 0,
    faultMs: 100 * ms,
    endMs: ms,
    capacityPerSecond: AMPLE,
    ...changes,
  });
}

/** 15 s of calm, the fault, and 30 s after it. */
function passing(seconds: number, changes: Partial<Scenario>): Scenario {
  const [faultAtMs, faultMs] = [15_000, 1_000 * seconds];
  return outageScenario(OWN, { faultAtMs, faultMs, endMs: faultAtMs + faultMs + 30_000, ...changes });
}

const HANG: readonly Trouble[] = [{ does: { kind: 'hangs' } }];

/** One endpoint with troubles, and two healthy ones. */
const amongWell = (path: string, ...troubles: Trouble[]): readonly Endpoint[] => [
  { path, troubles },
  { path: '/orders/{n}', weight: 6, troubles: WELL },
  { path: '/payments', method: 'POST', weight: 3, troubles: WELL },
];

const everywhere = (troubles: readonly Trouble[]): readonly Endpoint[] => [
  { path: '/search', troubles },
  { path: '/orders/{n}', weight: 6, troubles },
  { path: '/payments', method: 'POST', weight: 3, troubles },
];

/** A 429 that announces 15 minutes. */
const CLOSED = { kind: 'limits', refill: 'window', windowMs: 900_000, tells: 'retry-after' } as const;

const MINUTES_5 = { ratePerSecond: 20, capacityPerSecond: AMPLE, faultMs: 300_000, endMs: 375_000 };

const closed: readonly Row[] = [
  {
    id: 'A3',
    name: 'one endpoint: 429, Retry-After 900',
    scenario: passing(300, {
      ...MINUTES_5,
      endpoints: amongWell('/search', { does: { ...CLOSED, per: 'endpoint', requests: 0 } }),
    }),
    bounds: [
      succeed(1, elsewhere('/search')),
      wait(999, elsewhere('/search')),
      perMinute(5, 5_000, '/search'),
    ],
  },
  {
    id: 'A3',
    name: 'one endpoint: 200 with 0 remaining',
    scenario: passing(300, {
      ...MINUTES_5,
      endpoints: amongWell('/search', {
        does: { ...CLOSED, per: 'endpoint', requests: 20, tells: 'x-ratelimit' },
      }),
    }),
    bounds: [
      succeed(1, elsewhere('/search')),
      wait(999, elsewhere('/search')),
      perMinute(5, 30_000, '/search'),
    ],
  },
  {
    id: 'A3',
    name: 'the whole key: 429, Retry-After 900',
    scenario: passing(300, {
      ...MINUTES_5,
      clients: { keys: 1 },
      endpoints: everywhere([{ does: { ...CLOSED, per: 'key', requests: 0 } }]),
    }),
    // The announced time is wrong: the upstream serves again after five minutes, not fifteen.
    bounds: [perMinute(5, 10_000), back(30_000)],
  },
];

const misread: readonly Row[] = [
  {
    id: 'A',
    name: 'one 503 with Retry-After 3600',
    scenario: always(60, {
      ratePerSecond: 20,
      endpoints: amongWell('/reports/big', { does: answers(503, 'Retry-After', '3600'), most: 1 }),
    }),
    bounds: [succeed(1, elsewhere('/reports/big')), wait(100, elsewhere('/reports/big')), succeed(0.97)],
  },
  ...[60, 10].map((seconds) => ({
    id: 'A2',
    name: `2 % random 503, Retry-After ${seconds}`,
    scenario: always(30, {
      ratePerSecond: 20,
      endpoints: [
        {
          path: '/orders/{n}',
          troubles: [{ does: answers(503, 'Retry-After', String(seconds)), share: 0.02 }],
        },
      ],
    }),
    bounds: [succeed(0.99), wait(100)],
  })),
  ...closed,
];

const hung: readonly Row[] = [
  ...[undefined, 10_000].map((giveUpMs) => ({
    id: 'B',
    name: `hangs for 10 s${giveUpMs === undefined ? '' : ', clients leave after 10 s'}`,
    scenario: passing(10, {
      ratePerSecond: 40,
      endpoints: [{ path: '/orders/{n}', troubles: HANG }],
      ...(giveUpMs === undefined ? {} : { clients: { giveUpMs } }),
    }),
    bounds: [back(2_000), succeed(0.95, after(25))],
  })),
  {
    id: 'B',
    name: 'stalls for 10 s, then answers all',
    scenario: passing(10, {
      ratePerSecond: 40,
      endpoints: [{ path: '/orders/{n}', troubles: [{ does: { kind: 'hangs', untilOver: true } }] }],
    }),
    bounds: [back(2_000), succeed(0.95, after(25))],
  },
  {
    id: 'B',
    name: 'blackhole of 20 s',
    scenario: passing(20, { ratePerSecond: 80, endpoints: [{ path: '/orders/{n}', troubles: HANG }] }),
    bounds: [back(2_000), succeed(0.95, after(25)), amplify(0.5)],
  },
  ...[5, 12].flatMap((leave) =>
    [0, 30].map((calm) => ({
      id: 'C',
      name: `blackhole, POSTs, ${leave} s, ${calm === 0 ? 'cold' : 'warm'}`,
      scenario: passing(45, {
        faultAtMs: 1_000 * calm,
        endMs: 1_000 * (calm + 75),
        ratePerSecond: 20,
        clients: { giveUpMs: 1_000 * leave },
        endpoints: [{ path: '/payments', method: 'POST', troubles: HANG }],
      }),
      bounds: [opens(15_000), back(5_000)],
    })),
  ),
  {
    id: 'C',
    name: 'nine POSTs in ten hang, the others are answered',
    scenario: passing(45, {
      faultAtMs: 30_000,
      endMs: 105_000,
      ratePerSecond: 20,
      endpoints: [{ path: '/payments', method: 'POST', troubles: [{ does: { kind: 'hangs' }, share: 0.9 }] }],
    }),
    bounds: [opens(15_000), back(5_000)],
  },
  {
    id: 'D',
    name: 'attempt 1 s, total 5 s, retry off',
    policy: { defaults: 'timeouts: { attempt: 1s, total: 5s }\nretry: off' },
    scenario: passing(20, { ratePerSecond: 20, endpoints: [{ path: '/orders/{n}', troubles: HANG }] }),
    // One second for the attempt, and half a second in the queue of the limit.
    bounds: [fail(1_600, during)],
  },
];

/** 30 calls at once, then one every 2 s, for a bucket of 30 that refills by one per second. */
const bucketful = (tells: 'anthropic' | 'openai'): Scenario =>
  always(122, {
    ratePerSecond: 0,
    serviceMs: 100,
    clients: { keys: 1 },
    bursts: [
      { atMs: 1_000, calls: 30 },
      ...Array.from({ length: 60 }, (_, i) => ({ atMs: 3_000 + 2_000 * i, calls: 1 })),
    ],
    endpoints: [
      {
        path: '/v1/messages',
        method: 'POST',
        service: { mix: [{ share: 1, ms: 200 }] },
        troubles: [
          { does: { kind: 'limits', per: 'key', refill: 'bucket', requests: 30, windowMs: 30_000, tells } },
        ],
      },
    ],
  });

const throttled: readonly Row[] = [
  ...(['anthropic', 'openai'] as const).map((preset) => ({
    id: 'E',
    name: `token bucket of ${preset}`,
    policy: { preset },
    scenario: bucketful(preset),
    bounds: [succeed(1), wait(1_500), attempts(1)],
  })),
  ...['POST', 'GET'].map((method) => ({
    id: 'H',
    name: `40 % random 429 to ${method}, Retry-After 1, SDKs retry`,
    scenario: always(120, {
      ratePerSecond: 1,
      clients: { keys: 1, retries: 2 },
      endpoints: [
        { path: '/v1/chat', method, troubles: [{ does: answers(429, 'Retry-After', '1'), share: 0.4 }] },
      ],
    }),
    bounds: [noWorseThanDirect(0.5)],
  })),
  {
    id: 'H',
    name: 'twenty calls at once, the same',
    scenario: always(30, {
      ratePerSecond: 0,
      bursts: [5_000, 15_000, 25_000].map((atMs) => ({ atMs, calls: 20 })),
      clients: { keys: 1, retries: 2 },
      endpoints: [{ path: '/v1/chat', troubles: [{ does: answers(429, 'Retry-After', '1'), share: 0.4 }] }],
    }),
    bounds: [noWorseThanDirect(0.5)],
  },
  {
    id: 'K',
    name: 'one in five is a 429 without Retry-After',
    scenario: always(60, {
      ratePerSecond: 10,
      endpoints: [{ path: '/orders/{n}', troubles: [{ does: answers(429), share: 0.2 }] }],
    }),
    bounds: [wait(100, ALL, 0.95), succeed(0.98)],
  },
];

const UNLISTED = [520, 521, 522, 523, 524, 530, 599];

const failing: readonly Row[] = [
  {
    id: 'F',
    name: 'outage by 522',
    scenario: passing(20, {
      ratePerSecond: 20,
      endpoints: [{ path: '/orders/{n}', troubles: [{ does: answers(522) }] }],
    }),
    bounds: [amplify(0.5), succeed(0.95, after(25))],
  },
  {
    id: 'F',
    name: '20 % random 520–524, 530, 599',
    scenario: always(60, {
      ratePerSecond: 20,
      endpoints: [
        {
          path: '/orders/{n}',
          troubles: UNLISTED.map((status) => ({ does: answers(status), share: 0.03 })),
        },
      ],
    }),
    bounds: [succeed(0.98)],
  },
];

const burst = (calls: number, ms: number): Scenario =>
  always(20, {
    ratePerSecond: 2,
    bursts: [{ atMs: 10_000, calls }],
    endpoints: [{ path: '/v1/chat', method: 'POST', service: { mix: [{ share: 1, ms }] }, troubles: WELL }],
  });

const healthy: readonly Row[] = [
  ...[
    [300, 3_000],
    [100, 3_000],
    [500, 100],
  ].map(([calls = 0, ms = 0]) => ({
    id: 'I',
    name: `burst of ${calls}, ${ms} ms each`,
    scenario: burst(calls, ms),
    bounds: [succeed(1), wait(50), attempts(1)],
  })),
  {
    id: 'I2',
    name: 'half take 8 s, half 50 ms',
    scenario: always(60, {
      ratePerSecond: 40,
      endpoints: [
        {
          path: '/orders/{n}',
          troubles: WELL,
          service: {
            mix: [
              { share: 1, ms: 8_000 },
              { share: 1, ms: 50 },
            ],
          },
        },
      ],
    }),
    bounds: [succeed(1), wait(100), amplify(1.1)],
  },
  {
    id: 'J',
    name: 'a GET of 15 s and a POST of 35 s among fast ones',
    scenario: always(90, {
      ratePerSecond: 10,
      endpoints: [
        { path: '/orders/{n}', weight: 96, troubles: WELL, service: { meanMs: 50 } },
        { path: '/report', weight: 2, troubles: WELL, service: { mix: [{ share: 1, ms: 15_000 }] } },
        {
          path: '/export',
          method: 'POST',
          weight: 2,
          troubles: WELL,
          service: { mix: [{ share: 1, ms: 35_000 }] },
        },
      ],
    }),
    bounds: [succeed(1), wait(100), attempts(1, elsewhere('/report')), attempts(1, at('/report'))],
  },
  {
    id: 'J',
    name: 'every GET takes 15 s, cold',
    scenario: always(60, {
      ratePerSecond: 2,
      endpoints: [{ path: '/report', troubles: WELL, service: { mix: [{ share: 1, ms: 15_000 }] } }],
    }),
    bounds: [succeed(1), wait(100), attempts(1)],
  },
  {
    id: 'J',
    name: 'one GET in fifty takes 15 s, the others 50 ms',
    scenario: oneInFifty(120, 15_000),
    bounds: [succeed(1), wait(100), attempts(2)],
  },
  {
    id: 'J',
    name: 'one GET in fifty takes 25 s, the others 50 ms',
    scenario: oneInFifty(240, 25_000),
    bounds: [succeed(1), attempts(2), amplify(1.03)],
  },
  {
    id: 'J',
    name: 'one attempt in a hundred hangs',
    scenario: always(240, {
      ratePerSecond: 20,
      clients: { giveUpMs: 60_000 },
      endpoints: [
        {
          path: '/orders/{n}',
          troubles: [{ does: { kind: 'hangs' }, share: 0.01 }],
          service: { meanMs: 50 },
        },
      ],
    }),
    bounds: [succeed(0.998), attempts(2), amplify(1.02)],
  },
];

/** The rows of RPB-2. L is about durable requests, which the simulation does not have. */
export const ROWS: readonly Row[] = [...misread, ...hung, ...throttled, ...failing, ...healthy];

/** Compares every bound of the row with the runs of one seed. */
export async function readingsOf({ scenario, policy, bounds }: Row, seed: number): Promise<Reading[]> {
  const subject: Subject = plainSubject(policy);
  const seeded = { ...scenario, seed };
  const pair = {
    run: await simulate(subject, seeded),
    direct: await simulateDirect(subject, seeded),
  };
  return bounds.map((bound) => bound(pair));
}
