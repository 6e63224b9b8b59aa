import { LRUCache } from 'lru-cache';
import type { QuotaReading } from '../../http/rate-limit.ts';
import type { Random } from '../../runtime/random.ts';
import { Allowance, type CallSight } from './limiter.ts';
import type { Closing } from './cooldown.ts';
import type { QuotaOptions } from './options.ts';
import { namedScope } from './scope.ts';
import { SharedLimits } from './shared-limits.ts';
import type { Throughput } from './throughput.ts';
import { type Held, type Pass, Way } from './scoped-limiter.ts';

/** Scopes of one credential that something is known of; the one that was used longest ago is forgotten first. */
const MOST_SCOPES = 64;

/** Shapes of paths whose resource is known. */
const MOST_SHAPES = 256;

/** A resource that so many shapes belong to is presumed for all that are not known. */
const DEFAULT_SHAPES = 2;

/** What one attempt was, and what it had seen. */
export interface Sight extends CallSight {
  /** What its call asked for, by its path. */
  readonly shape: string;
  readonly pass: Pass | undefined;
}

/**
 * What is known of the quotas of one credential.
 *
 * Rule "a learned limit begins narrow": what a reply says holds for the scope of its call (what the API names, else method and shape of
 * the path). It holds for the whole credential when the same limit is met in other scopes, and no longer when a call elsewhere proves it
 * wrong. Windows of the configuration hold for the whole credential from the beginning.
 */
export class Account {
  readonly #options: Pick<QuotaOptions, 'scope' | 'windows'>;
  readonly #random: Random;
  readonly #served: Throughput;
  #whole: Allowance;
  #shared = new SharedLimits();
  readonly #parts = new LRUCache<string, Allowance>({ max: MOST_SCOPES });
  /** The API's own names, by shape. */
  readonly #resources = new Map<string, string>();
  #usual: string | undefined;

  constructor(options: Pick<QuotaOptions, 'scope' | 'windows'>, random: Random, served: Throughput) {
    this.#options = options;
    this.#random = random;
    this.#served = served;
    this.#whole = this.#allowance(true);
  }

  /** What holds for all of its calls. */
  get whole(): Allowance {
    return this.#whole;
  }

  /** What holds for one scope alone. */
  get parts(): Iterable<readonly [scope: string, allowance: Allowance]> {
    return this.#parts.entries();
  }

  /** `shape`: see `limitShape`; or the name that the call itself says. */
  way(shape: string): Way {
    const scope = this.#resources.get(shape);
    if (scope !== undefined) return new Way(scope, this.#whole, this.#parts.get(scope), false);
    const known = this.#usual === undefined ? undefined : this.#parts.get(this.#usual);
    if (known !== undefined && this.#usual !== undefined)
      return new Way(this.#usual, this.#whole, known, true);
    return new Way(shape, this.#whole, this.#parts.get(shape), false);
  }

  /** A reply that was not a refusal. */
  answered(readings: readonly QuotaReading[], sight: Sight, now: number): void {
    this.#served.count(now);
    const scope = this.#scopeOf(readings, sight.shape);
    const { pass, startedAt } = sight;
    this.#whole.answered(startedAt, pass?.whole.taken, now);
    this.#whole.spoken(readings.length > 0);
    const part = this.#parts.peek(scope);
    part?.answered(startedAt, takenOf(pass?.part, part), now);
    part?.spoken(readings.length > 0);
    // A presumed scope was the wrong one; its probe says nothing.
    if (pass?.part?.taken.probe === true && pass.part.allowance !== part)
      pass.part.allowance.gate.voided(now);
    this.#learn(readings, { ...sight, shape: scope }, now);
  }

  /** A reply that says "too many". Returns the allowance whose gate was open and is closed by it. */
  refused(
    readings: readonly QuotaReading[],
    stop: Pick<Closing, 'cause' | 'askedMs'>,
    sight: Sight,
    now: number,
  ): Allowance | undefined {
    const scope = this.#scopeOf(readings, sight.shape);
    const { pass, startedAt } = sight;
    const narrow = this.#narrow(scope);
    for (const one of [this.#whole, narrow]) one.believe(now);
    this.#learn(readings, { ...sight, shape: scope }, now);
    if (pass?.part?.taken.probe === true && pass.part.allowance !== narrow)
      pass.part.allowance.gate.voided(now);
    const closing = { ...stop, startedAt, scope };
    // Money is no matter of a path.
    const own = stop.cause !== 'permanent' && narrow.refused(closing, now);
    const wide = this.#mayWiden(stop.cause, narrow) && this.#whole.refused(closing, now);
    if (wide) return this.#whole;
    return own ? narrow : undefined;
  }

  #mayWiden(cause: Closing['cause'], narrow: Allowance): boolean {
    if (cause === 'permanent') return true;
    return narrow !== this.#whole && this.#options.scope !== 'path';
  }

  /** As if nothing had ever been sent. */
  reset(): void {
    this.#whole = this.#allowance(true);
    this.#shared = new SharedLimits();
    this.#parts.clear();
    this.#resources.clear();
    this.#usual = undefined;
  }

  #learn(readings: readonly QuotaReading[], sight: Sight, now: number): void {
    for (const reading of readings) {
      const allowance = this.#narrow(sight.shape);
      allowance.learn(reading, { ...sight, unseen: unseenBy(sight, allowance) }, now);
      if (allowance === this.#whole || reading.resource !== '' || this.#options.scope === 'path') continue;
      const meaning = this.#shared.heard(reading, sight.shape, sight.startedAt, now);
      if (meaning === 'no longer shared') this.#whole.forget(reading);
      if (meaning === 'shared')
        this.#whole.learn(reading, { ...sight, unseen: unseenBy(sight, this.#whole) }, now);
    }
  }

  /** What the reply spoke of. */
  #scopeOf(readings: readonly QuotaReading[], shape: string): string {
    const resource = readings.find((reading) => reading.resource !== '')?.resource;
    if (resource === undefined) return this.#resources.get(shape) ?? shape;
    const scope = namedScope('resource', resource);
    if (this.#resources.get(shape) !== scope) this.#know(shape, scope);
    return scope;
  }

  #know(shape: string, scope: string): void {
    if (this.#resources.size >= MOST_SHAPES) this.#resources.clear();
    this.#resources.set(shape, scope);
    const shapes = new Map<string, number>();
    for (const name of this.#resources.values()) shapes.set(name, (shapes.get(name) ?? 0) + 1);
    const [usual] = [...shapes].sort(([, a], [, b]) => b - a);
    this.#usual = usual !== undefined && usual[1] >= DEFAULT_SHAPES ? usual[0] : undefined;
  }

  /** Where what is learned about a scope is kept. */
  #narrow(scope: string): Allowance {
    if (this.#options.scope === 'credential' && !scope.startsWith('resource ')) return this.#whole;
    let part = this.#parts.get(scope);
    if (part === undefined) {
      part = this.#allowance(false);
      this.#parts.set(scope, part);
    }
    return part;
  }

  #allowance(whole: boolean): Allowance {
    const { scope, windows } = this.#options;
    return new Allowance({
      windows: whole ? windows : [],
      random: this.#random,
      served: this.#served,
      whole: whole && scope !== 'credential',
    });
  }
}

function takenOf(held: Held | undefined, allowance: Allowance | undefined) {
  return held?.allowance === allowance ? held?.taken : undefined;
}

/** Of an allowance that the attempt took nothing of, all that it let through came later. */
function unseenBy({ pass, unseen }: Sight, allowance: Allowance): number {
  if (pass === undefined) return unseen + allowance.admitted;
  for (const held of [pass.whole, pass.part])
    if (held?.allowance === allowance) return allowance.unseen(held.taken);
  return pass.whole.allowance.unseen(pass.whole.taken);
}
