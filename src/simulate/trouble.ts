import { type Endpoint, endpointsOf, type Scenario } from './scenario.ts';

/** What an upstream does to some attempts while the fault lasts: a fault as data. */
export interface Trouble {
  readonly does: Effect;
  /** It concerns this share of attempts, at random; all when left out. */
  readonly share?: number;
  /** It concerns no more than so many attempts; any number when left out. */
  readonly most?: number;
  /** It comes and goes: so long there, so long gone. */
  readonly everyMs?: number;
}

/**
 * `answers`: refuses at once, or after `afterMs`; `slows`: serves, so many times slower; `hangs`: no answer, or one when the fault is over;
 * `breaks`: the connection, before or after the request was sent; `limits`: serves as many as a quota allows.
 */
export type Effect =
  | {
      readonly kind: 'answers';
      readonly status: number;
      readonly headers?: readonly string[];
      readonly afterMs?: number;
    }
  | { readonly kind: 'slows'; readonly times: number }
  | { readonly kind: 'hangs'; readonly untilOver?: boolean }
  | { readonly kind: 'breaks'; readonly code: 'connection_refused' | 'connection_terminated' }
  | Limits;

/** A quota, and how its replies speak of it. */
export interface Limits {
  readonly kind: 'limits';
  /** Whose calls are counted together. `key`: all calls with the same API key, at whatever endpoint. */
  readonly per: 'endpoint' | 'key';
  /** `requests` in each window of `windowMs`, or in a bucket that flows back one by one in `windowMs` altogether. */
  readonly refill: 'window' | 'bucket';
  readonly requests: number;
  readonly windowMs: number;
  readonly tells: Tells;
}

/** `nothing`; only Retry-After with a 429; or that and one of the families of headers with each reply. */
export type Tells = 'nothing' | 'retry-after' | 'x-ratelimit' | 'anthropic' | 'openai';

const BROWNOUT_SLOWDOWN = 10;
/** The quota of a rate-limited upstream: this share of its capacity, counted in windows of this length. */
const QUOTA_SHARE = 0.5;
const QUOTA_WINDOW_MS = 5_000;
/** A flapping upstream changes its mind this often. */
const FLAP_MS = 2_000;

const DOWN: Effect = { kind: 'answers', status: 503 };

/** What goes wrong at an endpoint: its own troubles, or those that the scenario's fault stands for. */
export function troublesOf(scenario: Troubled, endpoint: Endpoint): readonly Trouble[] {
  return endpoint.troubles ?? spelledOut(scenario);
}

type Troubled = Pick<Scenario, 'fault' | 'capacityPerSecond' | 'endpoints'>;

/** Whether any reply may have a Retry-After. */
export function asksToWait(scenario: Troubled): boolean {
  return endpointsOf(scenario)
    .flatMap((endpoint) => troublesOf(scenario, endpoint))
    .some(({ does }) =>
      does.kind === 'limits'
        ? does.tells !== 'nothing'
        : does.kind === 'answers' && does.headers?.includes('Retry-After'),
    );
}

function spelledOut({ fault, capacityPerSecond }: Troubled): readonly Trouble[] {
  switch (fault.kind) {
    case 'brownout':
      return [{ does: { kind: 'slows', times: BROWNOUT_SLOWDOWN } }];
    case 'outage':
      return [{ does: DOWN }];
    case 'blackhole':
      return [{ does: { kind: 'hangs' } }];
    case 'exhausted':
      return [{ does: { kind: 'answers', status: 429 } }];
    case 'flapping':
      return [{ does: DOWN, everyMs: FLAP_MS }];
    case 'flaky':
      return [{ does: DOWN, share: fault.share }];
    case 'rate-limited':
      return [{ does: halfOf(capacityPerSecond) }];
    case 'own':
      return [];
  }
}

function halfOf(capacityPerSecond: number): Limits {
  const requests = (QUOTA_SHARE * capacityPerSecond * QUOTA_WINDOW_MS) / 1_000;
  return {
    kind: 'limits',
    per: 'key',
    refill: 'window',
    requests,
    windowMs: QUOTA_WINDOW_MS,
    tells: 'retry-after',
  };
}
