import type { Trouble } from './effect.ts';

const PLAIN = ['brownout', 'outage', 'blackhole', 'rate-limited', 'exhausted', 'flapping'] as const;

/**
 * How an upstream fails. `brownout`: ten times slower; `outage`: 503 at once; `blackhole`: no answer; `rate-limited`: half
 * the capacity, beyond it 429 with Retry-After; `exhausted`: 429 to all, without saying until when; `flapping`: two seconds
 * down, two seconds up; `flaky`: this share of attempts gets a 503 at random. `own`: only what the endpoints say for themselves.
 */
export type Fault =
  | { readonly kind: (typeof PLAIN)[number] }
  | { readonly kind: 'flaky'; readonly share: number }
  | { readonly kind: 'own' };

/** Calls of one kind, and how the upstream treats them. */
export interface Endpoint {
  /** `{n}` stands for the number of the call. Without it, calls differ in their query only. */
  readonly path: string;
  /** The route's own method when left out. */
  readonly method?: string;
  /** How often it is called, compared with the others; 1 when left out. */
  readonly weight?: number;
  readonly service?: Service;
  /** What goes wrong here, first match first. The scenario's fault when left out. */
  readonly troubles?: readonly Trouble[];
}

/**
 * How long a worker takes. `mean`: exponentially distributed; `mix`: exactly one of these times. The scenario's mean when left
 * out.
 */
export type Service =
  | { readonly meanMs: number }
  | { readonly mix: readonly { readonly share: number; readonly ms: number }[] };

/** What the callers do by themselves. */
export interface Clients {
  /** They leave after so long without a reply; never when left out. */
  readonly giveUpMs?: number;
  /** How often their SDK tries again; 0 when left out. */
  readonly retries?: number;
  /** So many API keys are used, each call with one of them; none when left out. */
  readonly keys?: number;
}

/** So many calls at once. */
export interface Burst {
  readonly atMs: number;
  readonly calls: number;
}

/** What happens to whom, all times in virtual milliseconds from the start. The same scenario always runs the same. */
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
  /** Infinity: it never has to let anybody wait. */
  readonly capacityPerSecond: number;
  /** Mean time in which a worker of the upstream serves a request, where nothing is wrong. */
  readonly serviceMs: number;
  readonly seed: number;
  /** One, whose calls each have a path of their own, when left out. */
  readonly endpoints?: readonly Endpoint[];
  readonly clients?: Clients;
  /** Beside the Poisson arrivals. */
  readonly bursts?: readonly Burst[];
}

/** The times of RPB-1: a minute of calm, the fault, three minutes to recover in. */
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

/** The scenario of RPB-1 with this fault; without others, at 0.8 of the capacity of 100 requests per second. */
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
