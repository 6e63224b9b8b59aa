import { LRUCache } from 'lru-cache';
import type { QuotaReading } from '../../http/rate-limit.ts';
import type { Random } from '../../runtime/random.ts';
import type { CallReservation } from './call-reservation.ts';
import { ClientShare } from './client-share.ts';
import { Limiter, type CallContext, type LimiterOptions, type MeterKey } from './limiter.ts';
import type { CountedWindows } from './counted-windows.ts';
import type { Seer, Throttling } from './cooldown.ts';
import {
  type CooldownReport,
  type Replicas,
  type Report,
  type ScopeReports,
  WHOLE,
} from './cooldown-report.ts';
import type { QuotaOptions, QuotaWindow } from './options.ts';
import { farFacts, type QuotaFacts } from './quota-memory.ts';
import { namedScope } from './scope.ts';
import type { LearnedUnits } from './shared-credential.ts';
import { SharedLimits } from './shared-limits.ts';
import type { Throughput } from './throughput.ts';
import { ScopedLimiter } from './scoped-limiter.ts';

/** The most scopes of one credential with known limits. The least recently used one is forgotten first. */
const MAX_SCOPES = 64;

/** The most path shapes whose resource is known. */
const MAX_SHAPES = 256;

/** Without it, lru-cache makes an object for the options of each look-up. */
const PLAINLY = {};

/** A resource with this many shapes is assumed for every unknown shape. */
const DEFAULT_SHAPES = 2;

export interface CredentialQuotaOptions extends Pick<QuotaOptions, 'scope' | 'windows'> {
  /** The share of the quota that a client may use, by its name; undefined: all of it. */
  readonly shareOf?: ((client: string) => number | undefined) | undefined;
}

/** The replicas that share the cooldowns of a credential. */
export interface CredentialReplicas {
  /** How many there are, this one included. */
  readonly count: number;
  /** See `Replicas`. `scope`: that of the cooldown, or `WHOLE`. */
  changed(scope: string): void;
  released(scope: string): void;
  /** A reading is news for the others. */
  learned(scope: string, reading: QuotaReading, startedAt: number): void;
  /** The units of a learned limit. */
  unitsOf(scope: string, limit: MeterKey): LearnedUnits;
}

export interface CredentialQuotaDeps
  extends Pick<LimiterOptions, 'onChange' | 'random' | 'served' | 'sources'> {
  readonly replicas?: CredentialReplicas | undefined;
  /** The units that clients with a share have used in this process. */
  readonly counted: () => CountedWindows;
}

/** One answered attempt, and how many calls the upstream had counted when it answered. */
export interface SeenReply extends CallContext {
  /** The method and the shape of the call's path. */
  readonly shape: string;
  readonly held: CallReservation | undefined;
}

/**
 * The quotas of one credential.
 *
 * A learned limit begins narrow. It holds for the scope of the call: the resource that the API names, otherwise method and
 * shape of the path. It widens to the whole credential when the same limit is observed in other scopes. It narrows again when
 * a call of another scope proves it wrong. Configured windows always hold for the whole credential.
 */
export class CredentialQuota {
  readonly #options: CredentialQuotaOptions;
  /** By the name of the client; `clients.tokens` bounds them. */
  readonly #shares = new Map<string, ClientShare>();
  readonly #counted: CredentialQuotaDeps['counted'];
  readonly #random: Random;
  readonly #served: Throughput;
  readonly #sources: LimiterOptions['sources'];
  #windows: readonly QuotaWindow[];
  readonly #replicas: CredentialReplicas | undefined;
  readonly #onChange: (() => void) | undefined;
  #whole: Limiter;
  #shared = new SharedLimits();
  /** `max` would fill two lists at once, which takes longer than the rest of a new credential, and most have one scope. */
  readonly #parts = new LRUCache<string, Limiter>({ maxSize: MAX_SCOPES, sizeCalculation: () => 1 });
  /** The API's own names, by shape. */
  readonly #resources = new Map<string, string>();
  #usual: string | undefined;

  constructor(
    options: CredentialQuotaOptions,
    { counted, onChange, random, replicas, served, sources }: CredentialQuotaDeps,
  ) {
    this.#counted = counted;
    this.#onChange = onChange;
    this.#options = options;
    this.#random = random;
    this.#served = served;
    this.#sources = sources;
    this.#windows = options.windows;
    this.#replicas = replicas;
    this.#whole = this.#newLimiter(WHOLE);
  }

  /** Units are leased, so they come only to calls that say that they wait. */
  get isShared(): boolean {
    return this.#replicas !== undefined || this.#whole.isLeased;
  }

  /** How many calls wait, and the cost of the first of them. Which scope they are of is not known, so each gets units for all. */
  wanted(calls: number, cost: number, now: number): void {
    this.#whole.wanted(calls, cost, now);
    for (const part of this.#parts.values()) part.wanted(calls, cost, now);
  }

  /** The limits of all calls of the credential. */
  get whole(): Limiter {
    return this.#whole;
  }

  /** The limits of single scopes. */
  get parts(): Iterable<readonly [scope: string, limiter: Limiter]> {
    return this.#parts.entries();
  }

  /** `shape`: see `limitShape`, or a name from the body of the call. `client`: its name, if it has one. */
  limiterFor(shape: string, client?: string): ScopedLimiter {
    const limiter = this.#limiterFor(shape);
    if (client !== undefined) limiter.share = this.#shareOf(client);
    return limiter;
  }

  #limiterFor(shape: string): ScopedLimiter {
    const scope = this.#resources.get(shape);
    if (scope !== undefined)
      return new ScopedLimiter(scope, this.#whole, this.#parts.get(scope, PLAINLY), false);
    const known = this.#usual === undefined ? undefined : this.#parts.get(this.#usual, PLAINLY);
    if (known !== undefined && this.#usual !== undefined)
      return new ScopedLimiter(this.#usual, this.#whole, known, true);
    return new ScopedLimiter(shape, this.#whole, this.#parts.get(shape, PLAINLY), false);
  }

  /** Undefined for a client without a share of its own. */
  #shareOf(client: string): ClientShare | undefined {
    const share = this.#options.shareOf?.(client);
    if (share === undefined) return undefined;
    const known = this.#shares.get(client);
    return known?.share === share ? known : this.#newShare(client, share);
  }

  #newShare(client: string, share: number): ClientShare {
    const counted = this.#counted().shareOf(client);
    const made = new ClientShare(share, this.#windows, counted, this.#shares.get(client));
    this.#shares.set(client, made);
    return made;
  }

  /** The configured windows change. What was learned stays, and what was used of the same windows. */
  follow(windows: readonly QuotaWindow[]): void {
    this.#windows = windows;
    this.#whole.follow(windows);
    for (const [client, { share }] of this.#shares) this.#newShare(client, share);
  }

  /** Call for a reply that was no refusal. */
  answered(readings: readonly QuotaReading[], seen: SeenReply, now: number): void {
    this.#served.count(now);
    const scope = this.#scopeOf(readings, seen.shape);
    const { held, startedAt } = seen;
    this.#whole.answered(startedAt, held?.whole, now);
    this.#whole.countReply(readings.length > 0);
    const part = this.#parts.peek(scope, PLAINLY);
    part?.answered(startedAt, held?.at(part), now);
    part?.countReply(readings.length > 0);
    held?.confirm(part, now);
    this.#learn(readings, scope, seen, now);
    held?.observe(false, now);
  }

  /** Call for a reply that throttles. Returns the limiter whose cooldown it starts. */
  refused(
    readings: readonly QuotaReading[],
    throttling: Pick<Throttling, 'cause' | 'askedMs'>,
    seen: SeenReply,
    now: number,
  ): Limiter | undefined {
    const scope = this.#scopeOf(readings, seen.shape);
    const { held, startedAt } = seen;
    const narrow = this.#narrow(scope);
    for (const one of [this.#whole, narrow]) one.trustReadings(now);
    this.#learn(readings, scope, seen, now);
    held?.observe(true, now);
    held?.confirm(narrow, now);
    const full: Throttling = { ...throttling, startedAt, scope };
    // A spent budget concerns the whole credential, not one path.
    const own = throttling.cause !== 'permanent' && narrow.refused(full, now);
    const wide = this.#mayWiden(throttling.cause, narrow) && this.#whole.refused(full, now);
    if (wide) return this.#whole;
    return own ? narrow : undefined;
  }

  #mayWiden(cause: Throttling['cause'], narrow: Limiter): boolean {
    if (cause === 'permanent') return true;
    return narrow !== this.#whole && this.#options.scope !== 'path';
  }

  /** The limiter of a scope (`WHOLE`: of the credential); undefined if nothing is known about it. */
  limiterAt(scope: string): Limiter | undefined {
    return scope === WHOLE ? this.#whole : this.#parts.peek(scope, PLAINLY);
  }

  /** The cooldowns of these scopes, or of all, for other replicas. */
  reports(now: number, scopes: Iterable<string> = [WHOLE, ...this.#parts.keys()]): ScopeReports {
    return Array.from(
      scopes,
      (scope) => [scope, this.limiterAt(scope)?.cooldown.report(now)] as const,
    ).filter((entry): entry is readonly [string, CooldownReport] => entry[1] !== undefined);
  }

  /** Applies the report of another replica, or of an earlier process. Returns the limiter whose cooldown starts by it. */
  apply(scope: string, report: Report, now: number, seenBy: Seer = 'replica'): Limiter | undefined {
    const limiter = scope === WHOLE ? this.#whole : this.#narrow(scope);
    if (report.name === 'reading') {
      limiter.learnRemote(report.reading, now - report.leftMsAgo, now);
      return undefined;
    }
    return limiter.cooldown.apply(report, now, seenBy) ? limiter : undefined;
  }

  /** The facts that a later process needs; undefined: none. */
  facts(now: number): QuotaFacts | undefined {
    const limiters = [[WHOLE, this.#whole] as const, ...this.#parts.entries()];
    const readings = limiters.flatMap(([scope, limiter]) =>
      limiter
        .readings(now)
        .map((reading) => [scope, { name: 'reading', reading, leftMsAgo: 0 } as const] as const),
    );
    return farFacts({
      debts: this.#whole.debts(now),
      reports: [...this.reports(now), ...readings],
      scopes: [...this.#resources],
    });
  }

  /** Takes over what an earlier process knew. Returns the limiters whose cooldowns start by it. */
  recall({ debts, reports, scopes }: QuotaFacts, now: number): readonly Limiter[] {
    this.#whole.owe(debts, now);
    for (const [shape, scope] of scopes) this.#know(shape, scope);
    return reports.flatMap(([scope, report]) => this.apply(scope, report, now, 'before') ?? []);
  }

  /** Forgets everything, as if no call had been sent. */
  reset(): void {
    this.#whole = this.#newLimiter(WHOLE);
    this.#shares.clear();
    this.#shared = new SharedLimits();
    this.#parts.clear();
    this.#resources.clear();
    this.#usual = undefined;
  }

  #learn(readings: readonly QuotaReading[], scope: string, seen: SeenReply, now: number): void {
    for (const reading of readings) {
      const limiter = this.#narrow(scope);
      this.#learnAt(limiter === this.#whole ? WHOLE : scope, reading, seen, now);
      if (limiter === this.#whole || reading.resource !== '' || this.#options.scope === 'path') continue;
      const meaning = this.#shared.observe(reading, scope, seen.startedAt, now);
      if (meaning === 'no longer shared') this.#whole.forget(reading);
      if (meaning === 'shared') this.#learnAt(WHOLE, reading, seen, now);
    }
  }

  #learnAt(scope: string, reading: QuotaReading, seen: SeenReply, now: number): void {
    const limiter = scope === WHOLE ? this.#whole : this.#narrow(scope);
    if (limiter.learn(reading, contextOf(seen, limiter), now))
      this.#replicas?.learned(scope, reading, seen.startedAt);
  }

  /** The scope that a reply is about. */
  #scopeOf(readings: readonly QuotaReading[], shape: string): string {
    const resource = readings.find((reading) => reading.resource !== '')?.resource;
    if (resource === undefined) return this.#resources.get(shape) ?? shape;
    const scope = namedScope('resource', resource);
    if (this.#resources.get(shape) !== scope) this.#know(shape, scope);
    return scope;
  }

  #know(shape: string, scope: string): void {
    if (this.#resources.size >= MAX_SHAPES) this.#resources.clear();
    this.#resources.set(shape, scope);
    const shapes = new Map<string, number>();
    for (const name of this.#resources.values()) shapes.set(name, (shapes.get(name) ?? 0) + 1);
    const [usual] = [...shapes].sort(([, a], [, b]) => b - a);
    this.#usual = usual !== undefined && usual[1] >= DEFAULT_SHAPES ? usual[0] : undefined;
  }

  /** The limiter that learns the limits of a scope. */
  #narrow(scope: string): Limiter {
    if (this.#options.scope === 'credential' && !scope.startsWith('resource ')) return this.#whole;
    let part = this.#parts.get(scope, PLAINLY);
    if (part === undefined) {
      part = this.#newLimiter(scope);
      this.#parts.set(scope, part);
    }
    return part;
  }

  #newLimiter(of: string): Limiter {
    const { scope } = this.#options;
    const whole = of === WHOLE;
    return new Limiter({
      windows: whole ? this.#windows : [],
      random: this.#random,
      served: this.#served,
      sources: this.#sources,
      whole: whole && scope !== 'credential',
      // Each call and each result concerns the whole credential too.
      onChange: whole ? this.#onChange : undefined,
      replicas: this.#replicas && replicasOf(this.#replicas, of),
      unitsOf: this.#replicas && ((limit) => (this.#replicas as CredentialReplicas).unitsOf(of, limit)),
    });
  }
}

/** The replicas that share one of the cooldowns. */
function replicasOf(replicas: CredentialReplicas, scope: string): Replicas {
  return {
    get count() {
      return replicas.count;
    },
    changed: () => replicas.changed(scope),
    released: () => replicas.released(scope),
  };
}

function contextOf(seen: SeenReply, limiter: Limiter): CallContext {
  return { startedAt: seen.startedAt, unseen: unseenBy(seen, limiter), cost: seen.cost };
}

/** If the attempt reserved nothing at a limiter, every call that the limiter admitted came later. */
function unseenBy({ held, unseen }: SeenReply, limiter: Limiter): number {
  if (held === undefined) return unseen + limiter.admitted;
  const reservation = held.at(limiter) ?? held.whole;
  return reservation.limiter.unseen(reservation);
}
