import { type Endpoint, endpointsOf, type Scenario } from './scenario.ts';
import { exponential, rollOf, seededRandom, subSeed } from './seeded-random.ts';

/** A future call. */
export interface Arrival {
  readonly atMs: number;
  /** Index of the proxy that it goes through. */
  readonly caller: number;
  readonly endpoint: Endpoint;
  readonly target: string;
  /** The API key; undefined: no keys are used. */
  readonly key: string | undefined;
}

/**
 * A Poisson process, and the bursts. Calls are distributed to callers at random, so each caller has a Poisson process too.
 * The properties of a call depend only on its number.
 */
export function* trafficOf(scenario: Scenario): Generator<Arrival> {
  const bursts = [...(scenario.bursts ?? [])].sort((a, b) => a.atMs - b.atMs);
  const deal = dealer(scenario);
  let n = 0;
  for (const atMs of poisson(scenario)) {
    for (let next = bursts[0]; next !== undefined && next.atMs <= atMs; next = bursts[0]) {
      for (let i = 0; i < next.calls; i++) yield deal(n++, next.atMs);
      bursts.shift();
    }
    if (atMs < scenario.endMs) yield deal(n++, atMs);
  }
}

/** Arrival times. The last one is after the end. */
function* poisson({ endMs, ratePerSecond, seed }: Scenario): Generator<number> {
  const random = seededRandom(subSeed(seed, 'arrivals'));
  let at = 0;
  while (at < endMs) {
    at += ratePerSecond === 0 ? Number.POSITIVE_INFINITY : exponential(1_000 / ratePerSecond, random);
    yield at;
  }
}

function dealer(scenario: Scenario): (n: number, atMs: number) => Arrival {
  const { callers, clients, loads, seed } = scenario;
  const endpoints = endpointsOf(scenario);
  const roll = (n: number, what: string) => rollOf(seed, `${what} ${n}`);
  const keys = clients?.keys;
  const indexes = loads === undefined ? [] : [...loads.keys()];
  const callerOf = (at: number) =>
    loads === undefined ? Math.floor(at * callers) : chosen(indexes, (i) => loads[i] as number, at);
  return (n, atMs) => {
    const endpoint = chosen(endpoints, (one) => one.weight ?? 1, roll(n, 'endpoint'));
    return {
      atMs,
      caller: callerOf(roll(n, 'caller')),
      endpoint,
      target: targetOf(endpoint, n),
      key: keys === undefined ? undefined : `key-${Math.floor(roll(n, 'key') * keys)}`,
    };
  };
}

function targetOf({ path }: Endpoint, n: number): string {
  return path.includes('{n}') ? path.replace('{n}', String(n)) : `${path}?n=${n}`;
}

/** The choice that `roll` selects by weight. */
function chosen<T>(choices: readonly T[], weightOf: (choice: T) => number, roll: number): T {
  let left = roll * choices.reduce((sum, choice) => sum + weightOf(choice), 0);
  for (const choice of choices) {
    left -= weightOf(choice);
    if (left < 0) return choice;
  }
  return choices.at(-1) as T;
}

/** Service time of an attempt without a fault. It depends only on seed, target and attempt. */
export function serviceOf(
  { seed }: Pick<Scenario, 'seed'>,
  { service }: Pick<Endpoint, 'service'>,
  asked: { readonly target: string; readonly attempt: number; readonly meanMs: number },
): number {
  const roll = rollOf(subSeed(seed, 'service'), `${asked.target}#${asked.attempt}`);
  if (service === undefined) return exponential(asked.meanMs, () => roll);
  if ('meanMs' in service) return exponential(service.meanMs, () => roll);
  return chosen(service.mix, ({ share }) => share, roll).ms;
}
