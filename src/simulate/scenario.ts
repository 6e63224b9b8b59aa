import type { Trouble } from './effect.ts';

const PLAIN = ['brownout', 'outage', 'blackhole', 'rate-limited', 'exhausted', 'flapping'] as const;
const RANDOM = ['flaky', 'stall', 'error-event'] as const;

/**
 * How an upstream fails. `brownout`: ten times slower; `outage`: 503 at once; `blackhole`: no answer; `rate-limited`: half
 * the capacity, beyond it 429 with Retry-After; `exhausted`: 429 to all, without Retry-After; `flapping`: two seconds down,
 * two seconds up. This share of attempts at random: `flaky`: gets a 503; `stall`: gets the head of a stream without an event;
 * `error-event`: gets a stream whose first event is an error. `own`: only the troubles of the endpoints.
 */
export type Fault = { readonly kind: (typeof PLAIN)[number] } | RandomFault | { readonly kind: 'own' };

/** A fault of single attempts. */
export interface RandomFault {
  readonly kind: (typeof RANDOM)[number];
  readonly share: number;
}

export const isRandom = (fault: Fault): fault is RandomFault => 'share' in fault;

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
  /**
   * Faults of single targets, by name; a target that is not named here has `fault`. Each target is an upstream of its own with
   * this capacity. Default: targets are not simulated, and all attempts go to one upstream.
   */
  readonly targets?: Readonly<Record<string, Fault>>;
  readonly faultAtMs: number;
  readonly faultMs: number;
  /** The last call arrives before this. */
  readonly endMs: number;
  /** Poisson arrivals of all callers together; they do not slow down when the upstream does. */
  readonly ratePerSecond: number;
  /** Proxies that share the upstream. */
  readonly callers: number;
  /** Relative load of each of them. Default: the same for all. */
  readonly loads?: readonly number[];
  /** Infinity: no call ever waits. */
  readonly capacityPerSecond: number;
  /** Mean service time of a worker without a fault. */
  readonly serviceMs: number;
  readonly seed: number;
  /**
   * Replies are event streams: the head comes at once, and the first event after the service time. Default: only with the faults
   * `stall` and `error-event`.
   */
  readonly streams?: boolean;
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
export const FAULT_WORDS: readonly string[] = [...PLAIN, ...RANDOM.map((kind) => `${kind}=0.3`)];

/** `outage`, `flaky=0.3`; undefined for anything else. */
export function parseFault(text: string): Fault | undefined {
  const kind = PLAIN.find((word) => word === text);
  if (kind !== undefined) return { kind };
  const [, name, number, percent] = /^([a-z-]+)=(\d*\.?\d+)(%?)$/.exec(text) ?? [];
  const random = RANDOM.find((word) => word === name);
  const share = Number(number) / (percent === '%' ? 100 : 1);
  return random !== undefined && share <= 1 ? { kind: random, share } : undefined;
}

export function faultName(fault: Fault): string {
  return isRandom(fault) ? `${fault.kind}=${fault.share}` : fault.kind;
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

/** Whether replies are event streams. */
export const isStreaming = ({ fault, streams }: Pick<Scenario, 'fault' | 'streams'>): boolean =>
  streams ?? (fault.kind === 'stall' || fault.kind === 'error-event');

export const endpointsOf = ({ endpoints }: Pick<Scenario, 'endpoints'>): readonly Endpoint[] =>
  endpoints ?? ONE_ENDPOINT;
