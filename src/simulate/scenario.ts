import type { Trouble } from './effect.ts';

const PLAIN = ['brownout', 'outage', 'blackhole', 'rate-limited', 'exhausted', 'flapping'] as const;

/**
 * How an upstream fails. `brownout`: ten times slower; `outage`: 503 at once; `blackhole`: no answer; `rate-limited`: half
 * the capacity, beyond it 429 with Retry-After; `exhausted`: 429 to all, without Retry-After; `flapping`: two seconds down,
 * two seconds up; `flaky`: this share of attempts gets a 503 at random; `own`: only the troubles of the endpoints.
 */
export type Fault =
  | { readonly kind: (typeof PLAIN)[number] }
  | { readonly kind: 'flaky'; readonly share: number }
  | { readonly kind: 'own' };

/** Calls of one kind, and how the upstream treats them. */
export interface Endpoint {
  /** `{n}` is replaced by the number of the call. Without it, calls differ only in their query. */
  readonly path: string;
  /** Default: the method of the route. */
  readonly method?: string;
  /** Relative frequency of its calls. Default: 1. */
  readonly weight?: number;
  readonly service?: Service;
  /** Faults of this endpoint; the first that matches decides. Default: the fault of the scenario. */
  readonly troubles?: readonly Trouble[];
}

/**
 * Service time of a worker. `meanMs`: exponentially distributed. `mix`: exactly one of these times.
 */
export type Service =
  | { readonly meanMs: number }
  | { readonly mix: readonly { readonly share: number; readonly ms: number }[] };

/** Behaviour of the clients. */
export interface Clients {
  /** They disconnect after this time without a reply. Default: never. */
  readonly giveUpMs?: number;
  /** Retries of their SDK. Default: 0. */
  readonly retries?: number;
  /** Number of API keys, of which each call has one. Default: no keys. */
  readonly keys?: number;
}

/** Calls that arrive at the same time. */
export interface Burst {
  readonly atMs: number;
  readonly calls: number;
}

/** A run of the simulation. Times are virtual milliseconds from the start. The same scenario always gives the same result. */
export interface Scenario {
  readonly fault: Fault;
  readonly faultAtMs: number;
  readonly faultMs: number;
  /** The last call arrives before this. */
  readonly endMs: number;
  /** Poisson arrivals of all callers together; they do not slow down when the upstream does. */
  readonly ratePerSecond: number;
  /** Proxies that share the upstream and know nothing of each other. */
  readonly callers: number;
  /** Infinity: no call ever waits. */
  readonly capacityPerSecond: number;
  /** Mean service time of a worker without a fault. */
  readonly serviceMs: number;
  readonly seed: number;
  /** Default: one endpoint whose calls each have their own path. */
  readonly endpoints?: readonly Endpoint[];
  readonly clients?: Clients;
  /** In addition to the Poisson arrivals. */
  readonly bursts?: readonly Burst[];
}

/** The times of RPB-1: a minute without a fault, the fault, three minutes to recover. */
export const CALM_MS = 60_000;
export const RECOVERY_MS = 180_000;

/** The words for `--fault`. */
export const FAULT_WORDS: readonly string[] = [...PLAIN, 'flaky=0.3'];

/** `outage`, `flaky=0.3`; undefined for anything else. */
export function parseFault(text: string): Fault | undefined {
  const kind = PLAIN.find((word) => word === text);
  if (kind !== undefined) return { kind };
  const share = /^flaky=(\d*\.?\d+)(%?)$/.exec(text);
  if (share === null) return undefined;
  const value = Number(share[1]) / (share[2] === '%' ? 100 : 1);
  return value >= 0 && value <= 1 ? { kind: 'flaky', share: value } : undefined;
}

export function faultName(fault: Fault): string {
  return fault.kind === 'flaky' ? `flaky=${fault.share}` : fault.kind;
}

/** The scenario of RPB-1 with this fault. Default load: 0.8 of a capacity of 100 requests per second. */
export function outageScenario(fault: Fault, changes: Partial<Scenario> = {}): Scenario {
  const faultAtMs = changes.faultAtMs ?? CALM_MS;
  const faultMs = changes.faultMs ?? 20_000;
  return {
    fault,
    faultAtMs,
    faultMs,
    endMs: faultAtMs + faultMs + RECOVERY_MS,
    ratePerSecond: 80,
    callers: 1,
    capacityPerSecond: 100,
    serviceMs: 100,
    seed: 1,
    ...changes,
  };
}

const ONE_ENDPOINT: readonly Endpoint[] = [{ path: '/{n}' }];

export const endpointsOf = ({ endpoints }: Pick<Scenario, 'endpoints'>): readonly Endpoint[] =>
  endpoints ?? ONE_ENDPOINT;
