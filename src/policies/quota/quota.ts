import { LRUCache } from 'lru-cache';
import { headerOf, type RawHeaders } from '../../http/headers.ts';
import { limitShape } from '../../http/path-shape.ts';
import { type QuotaReader, type QuotaReading, quotaReader } from '../../http/rate-limit.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import type { CooldownCause } from '../../proxy/events.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { CountedCredentials } from './counted-windows.ts';
import { CredentialQuota, type SeenReply } from './credential-quota.ts';
import type { Limiter } from './limiter.ts';
import { QuotaQueue, type QuotaReadiness } from './quota-queue.ts';
import type { QuotaOptions } from './options.ts';
import { type Demand, demandOf } from './demand.ts';
import { throttlingOf } from './throttling.ts';
import type { Seer } from './cooldown.ts';
import type { CredentialMemory, QuotaMemory } from './quota-memory.ts';
import type { SharedCredential } from './shared-credential.ts';
import { SharedCooldowns } from './shared-cooldowns.ts';
import { CostPlan } from './stated-cost.ts';
import { Throughput } from './throughput.ts';
import type { TokenSources } from './token-source.ts';

/** A cooldown that starts. */
export interface CooldownStart {
  readonly cause: CooldownCause;
  readonly remainingMs: number;
  readonly credential: string;
  /** The scope whose calls wait, such as `GET /reports/*`; '' for all calls of the credential. */
  readonly limited: string;
}

export interface QuotaDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Hashes a credential, so that memory, logs and metrics never contain it. */
  readonly hash: (secret: string) => string;
  /** Aborts when the proxy shuts down. */
  readonly draining: Abort;
  /** The share of the quota that a client may use, by its name; undefined: all of it. */
  readonly shareOf?: ((client: string) => number | undefined) | undefined;
  /** Called when a cooldown starts. `seenBy`: the process that has seen the refusals. */
  readonly onCooldown: (start: CooldownStart, seenBy: Seer) => void;
  /** The units that were used by an earlier quota of the same credentials, and will be by this one; undefined: none were. */
  readonly counted?: CountedCredentials | undefined;
  /** The state that replicas share, for the text that identifies a credential; undefined: each process is alone. */
  readonly shared?: ((credential: string) => SharedCredential) | undefined;
  /** The memory over a restart; undefined: nothing is remembered. */
  readonly memory?: QuotaMemory | undefined;
  /** Called when something that an earlier process knew about a credential is taken over. */
  readonly onRecall?: ((credential: string) => void) | undefined;
  /** Called when the lease for the probe of a cooldown was requested. */
  readonly onProbeLease?: ((granted: boolean) => void) | undefined;
}

/** `shape` is undefined if no quota was known. Then it is computed only for a reply about a quota. */
export type ReplyObservation = Omit<SeenReply, 'shape'> & { readonly shape?: string };

/** The part of a reply that is about quotas. */
interface ReplyNews {
  readonly readings: readonly QuotaReading[];
  readonly throttling: ReturnType<typeof throttlingOf>;
}

interface LatestCredential {
  /** The values of its header fields. */
  readonly values: readonly (string | undefined)[];
  /** '' for calls without a credential. */
  readonly hash: string;
  /** Undefined until a call needs it. It is not forgotten before another credential is the latest. */
  queue: QuotaQueue | undefined;
}

/** The most credentials with known quotas. The least recently used one is forgotten first. */
const MOST_CREDENTIALS = 1000;

const NO_READINGS: readonly QuotaReading[] = [];

const planOf = ({ cost }: QuotaOptions): CostPlan | undefined =>
  cost.reply.length === 0 ? undefined : new CostPlan(cost.reply);

/** The quotas of an upstream, with a queue for each credential that has a known quota. */
export class Quota {
  #options: QuotaOptions;
  #statedCost: CostPlan | undefined;
  readonly #counted: CountedCredentials;
  readonly #deps: QuotaDeps;
  readonly #read: QuotaReader;
  /** `max` would reserve 25 KB at once, and most upstreams have few credentials. */
  readonly #queues = new LRUCache<string, QuotaQueue>({
    maxSize: MOST_CREDENTIALS,
    sizeCalculation: () => 1,
    dispose: (queue) => {
      this.#forgotten.add(queue);
      this.#sharing.get(queue)?.stop();
    },
  });
  /** Queues in which calls may still wait. */
  readonly #forgotten = new Set<QuotaQueue>();
  readonly #sharing = new WeakMap<QuotaQueue, SharedCooldowns>();
  /** The latest credential. Most apps have one key, so it is hashed and looked up once, and not with every call. */
  #latest: LatestCredential = { values: [], hash: '', queue: undefined };
  /** Attempts that left while no quota was known, and their answers that were not throttled. */
  #started = 0;
  #served = new Throughput();

  constructor(options: QuotaOptions, deps: QuotaDeps) {
    this.#options = options;
    this.#statedCost = planOf(options);
    this.#counted = deps.counted ?? new CountedCredentials();
    this.#deps = deps;
    this.#read = quotaReader(options.formats);
  }

  get options(): QuotaOptions {
    return this.#options;
  }

  /** Where replies state their cost; undefined: they do not. */
  get statedCost(): CostPlan | undefined {
    return this.#statedCost;
  }

  /** The options change, but for those that `learningOf` names. Nothing is forgotten, and calls that wait keep their places. */
  follow(options: QuotaOptions): void {
    this.#options = options;
    this.#statedCost = planOf(options);
    for (const queue of this.#all()) queue.follow(options);
  }

  /**
   * True while no quota is known, the usual state, which costs nothing. False if the scope comes from the body, which is read
   * first, if replies state a cost, which is counted from the first call on, if replicas share what they know, or if an earlier
   * process knew a limit.
   */
  get isUntracked(): boolean {
    const { cost, scope, windows } = this.options;
    // Another replica may know of a limit.
    if (this.#deps.shared !== undefined) return false;
    if (windows.length > 0 || cost.reply.length > 0 || scope.startsWith('/')) return false;
    return this.#queues.size === 0 && this.#deps.memory?.isEmpty !== false;
  }

  /** By a short hash of the credential. */
  get queues(): Iterable<readonly [credential: string, queue: QuotaQueue]> {
    return this.#queues.entries();
  }

  /** The number of queued calls. */
  get waiting(): number {
    let waiting = 0;
    for (const queue of this.#all()) waiting += queue.size;
    return waiting;
  }

  /** The number of attempts that have left while no quota was known, this one included. */
  countUntracked(): number {
    return ++this.#started;
  }

  get untrackedStarts(): number {
    return this.#started;
  }

  demandOf(call: Call): Demand | Promise<Demand> {
    return demandOf(call, this.options);
  }

  /** Whether an additional attempt could leave at once, and another one after it. In shadow mode it always can. */
  hasRoom(call: Call): boolean {
    return (
      this.#holdsNone ||
      this.queueOf(call).hasRoom(limitShape(call.method, call.target), call.identity?.clientName)
    );
  }

  /**
   * When a further call could leave, and whether it would probe a cooldown. Reads `headers` for the credential. In shadow mode it can
   * always leave.
   */
  readiness(call: Call, headers: RawHeaders, now: number): QuotaReadiness {
    if (this.#holdsNone) return { at: now, probe: false };
    return this.#queueFor(headers).readiness(call, limitShape(call.method, call.target), now);
  }

  get #holdsNone(): boolean {
    return this.isUntracked || this.options.mode === 'shadow';
  }

  /** Learns from a reply. True: the reply is a result for the cooldowns that the attempt probed. */
  observe(call: Call, reply: Reply, seen: ReplyObservation, now: number): boolean {
    const wallMs = this.#deps.clock.wallTime();
    const throttling = throttlingOf(reply, wallMs);
    const readings = this.options.learn ? this.#read(reply.headers, wallMs) : undefined;
    if (readings === undefined && throttling === undefined && this.#isNothing(call, seen, now)) return true;
    // The quota headers of a cached reply are from the time when it was stored (RFC 9111 §5.1).
    if (Number(headerOf(reply.headers, 'age') ?? 0) > 0) return false;
    const shaped = isSeenReply(seen) ? seen : { ...seen, shape: limitShape(call.method, call.target) };
    this.#learn(call, { readings: readings ?? NO_READINGS, throttling }, shaped, now);
    return true;
  }

  #learn(call: Call, { readings, throttling }: ReplyNews, seen: SeenReply, now: number): void {
    const queue = this.queueOf(call);
    const { quota } = queue;
    if (throttling === undefined) quota.answered(readings, seen, now);
    else {
      const limiter = quota.refused(readings, throttling, seen, now);
      if (limiter !== undefined) this.#report(this.#credentialOf(call.headers), quota, limiter);
    }
    if (readings.length > 0 || throttling !== undefined) queue.sweep(now);
  }

  /** Whether a reply without quota headers changes nothing, because its credential has no known quota. */
  #isNothing(call: Call, { held }: ReplyObservation, now: number): boolean {
    if (held !== undefined) return false;
    this.#served.count(now);
    return !this.#queues.has(this.#credentialOf(call.headers));
  }

  queueOf(call: Call): QuotaQueue {
    return this.#queueFor(call.headers);
  }

  #queueFor(headers: RawHeaders): QuotaQueue {
    const latest = this.#latestOf(headers);
    latest.queue ??= this.#queueAt(latest.hash, headers);
    return latest.queue;
  }

  #queueAt(credential: string, headers: RawHeaders): QuotaQueue {
    const known = this.#queues.get(credential);
    if (known !== undefined) return known;
    const queue = this.#newQueue(headers, credential);
    this.#queues.set(credential, queue);
    for (const one of this.#forgotten) if (one.size === 0) this.#forgotten.delete(one);
    return queue;
  }

  #newQueue(headers: RawHeaders, credential: string): QuotaQueue {
    const { clock, draining, random, shareOf } = this.#deps;
    const secret = this.#secretOf(headers);
    const shared = this.#deps.shared?.(secret);
    const cooldowns = shared && this.#sharedCooldowns(shared, credential, () => queue);
    const memory = this.#deps.memory?.of(secret);
    // Of a credential that a quota before this one has counted, an earlier process knew nothing else.
    const isCounted = this.#counted.has(credential);
    const facts = () => quota.facts(clock.now());
    const quota: CredentialQuota = new CredentialQuota(
      { ...this.options, shareOf },
      {
        random,
        served: this.#takeServed(),
        counted: () => this.#counted.of(credential),
        sources: this.#sourcesFor(credential, shared),
        replicas: cooldowns,
        onChange: memory && (() => memory.changed(facts)),
      },
    );
    const requestLease = cooldowns && ((scope: string) => cooldowns.requestLease(scope));
    const queue: QuotaQueue = new QuotaQueue(quota, this.options, { clock, draining, requestLease });
    if (cooldowns !== undefined) this.#sharing.set(queue, cooldowns);
    cooldowns?.start();
    if (memory !== undefined && !isCounted) this.#recall(credential, quota, memory);
    return queue;
  }

  #sourcesFor(credential: string, shared: SharedCredential | undefined): TokenSources {
    if (shared !== undefined) return shared.tokens;
    return (windows) => this.#counted.of(credential).follow(windows, this.#deps.clock.now());
  }

  #sharedCooldowns(shared: SharedCredential, credential: string, queue: () => QuotaQueue): SharedCooldowns {
    const { clock, onProbeLease = () => {} } = this.#deps;
    return new SharedCooldowns(shared, {
      clock,
      quota: () => queue().quota,
      wake: () => queue().sweep(clock.now()),
      pump: () => queue().pump(),
      onRemote: (limiter) => this.#report(credential, queue().quota, limiter),
      onLease: onProbeLease,
    });
  }

  /** No call of the credential has left yet. */
  #recall(credential: string, quota: CredentialQuota, memory: CredentialMemory): void {
    const { clock, onRecall } = this.#deps;
    const facts = memory.recall();
    if (facts === undefined) return;
    const started = quota.recall(facts, clock.now());
    onRecall?.(credential);
    for (const limiter of started) this.#report(credential, quota, limiter);
  }

  /** For an operator: forgets learned limits and used tokens. Queued calls leave as the configured windows allow. */
  reset(): void {
    this.#counted.clear();
    for (const queue of this.#all()) {
      queue.quota.reset();
      this.#sharing.get(queue)?.clear();
      queue.pump();
    }
    this.#deps.memory?.clear();
  }

  /** A reload has removed the upstream, or changed what is learned. Calls that run end as they have begun. */
  dropped(): void {
    for (const queue of this.#queues.values()) this.#sharing.get(queue)?.stop();
  }

  *#all(): Generator<QuotaQueue> {
    yield* this.#queues.values();
    yield* this.#forgotten;
  }

  #report(credential: string, quota: CredentialQuota, limiter: Limiter): void {
    const { cooldown } = limiter;
    const { cause } = cooldown;
    if (cause === undefined) return;
    const remainingMs = cooldown.remainingMs(this.#deps.clock.now()) ?? 0;
    let limited = '';
    for (const [scope, part] of quota.parts) if (part === limiter) limited = scope;
    this.#deps.onCooldown({ cause, remainingMs, credential, limited }, cooldown.seenBy);
  }

  /** The first queue inherits the answers that were counted before. A later queue starts at zero. */
  #takeServed(): Throughput {
    const served = this.#served;
    this.#served = new Throughput();
    return served;
  }

  /** '' for a call without a credential. */
  #credentialOf(headers: RawHeaders): string {
    return this.#latestOf(headers).hash;
  }

  #latestOf(headers: RawHeaders): LatestCredential {
    if (!this.#isLatest(headers)) {
      const values = this.options.credentialHeaders.map((name) => headerOf(headers, name));
      const secret = this.#secretOf(headers);
      this.#latest = { values, hash: secret === '' ? '' : this.#deps.hash(secret), queue: undefined };
    }
    return this.#latest;
  }

  #isLatest(headers: RawHeaders): boolean {
    const { credentialHeaders } = this.options;
    const { values } = this.#latest;
    for (let i = 0; i < credentialHeaders.length; i++)
      if (headerOf(headers, credentialHeaders[i] as string) !== values[i]) return false;
    return true;
  }

  /** The credential of a call as one text; '' for none. */
  #secretOf(headers: RawHeaders): string {
    const lines = this.options.credentialHeaders.flatMap((name) => {
      const value = headerOf(headers, name);
      return value === undefined ? [] : `${name}:${value}\n`;
    });
    return lines.join('');
  }
}

function isSeenReply(seen: ReplyObservation): seen is SeenReply {
  return seen.shape !== undefined;
}
