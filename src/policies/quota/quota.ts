import { LRUCache } from 'lru-cache';
import { headerOf, type RawHeaders } from '../../http/headers.ts';
import { limitShape } from '../../http/path-shape.ts';
import { type QuotaReader, type QuotaReading, quotaReader } from '../../http/rate-limit.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import type { GateCause } from '../../proxy/events.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { Account, type Sight } from './credential-quota.ts';
import type { Allowance } from './limiter.ts';
import { Line } from './quota-queue.ts';
import type { QuotaOptions } from './options.ts';
import { type Stated, statedBy } from './demand.ts';
import { stopOf } from './throttling.ts';
import { Throughput } from './throughput.ts';

/** A gate that closed. */
export interface GateClosed {
  readonly cause: GateCause;
  readonly closedMs: number;
  readonly credential: string;
  /** Whose calls wait: see `limitShape`; '' for all of the credential. */
  readonly limited: string;
}

export interface QuotaDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Tells credentials apart in all that is kept, shown and counted. */
  readonly hash: (secret: string) => string;
  readonly draining: () => boolean;
  /** A gate closed that was open. */
  readonly closed: (closed: GateClosed) => void;
}

/** `shape` is undefined where nothing was known of quotas: then it is computed only if the reply says something. */
export type ReplySight = Omit<Sight, 'shape'> & { readonly shape?: string };

/** What a reply says of quotas. */
interface Said {
  readonly readings: readonly QuotaReading[];
  readonly stop: ReturnType<typeof stopOf>;
}

/** Credentials whose quotas are known at once; the one that was used longest ago is forgotten first. */
const MOST_CREDENTIALS = 1000;

const NO_READINGS: readonly QuotaReading[] = [];

/** The quotas of an upstream: a line for each credential that something is known of. */
export class Quota {
  readonly options: QuotaOptions;
  readonly #deps: QuotaDeps;
  readonly #read: QuotaReader;
  readonly #lines = new LRUCache<string, Line>({
    max: MOST_CREDENTIALS,
    dispose: (line) => this.#forgotten.add(line),
  });
  /** Lines that calls may still wait in. */
  readonly #forgotten = new Set<Line>();
  /** Most apps have one key: it is hashed once, not with every call. The latest is remembered here, and goes nowhere else. */
  #latest: { readonly values: readonly (string | undefined)[]; readonly hash: string } = NO_CREDENTIAL;
  /** Attempts that left while nothing was known, and their answers that were not throttled. */
  #started = 0;
  #served = new Throughput();

  constructor(options: QuotaOptions, deps: QuotaDeps) {
    this.options = options;
    this.#deps = deps;
    this.#read = quotaReader(options.formats);
  }

  /** Nothing is known that could hold a call: the usual state, which costs nothing. Where the body names the scope, it is read first. */
  get quiet(): boolean {
    const { scope, windows } = this.options;
    return this.#lines.size === 0 && windows.length === 0 && !scope.startsWith('/');
  }

  /** By credential, a short hash of it. */
  get lines(): Iterable<readonly [credential: string, line: Line]> {
    return this.#lines.entries();
  }

  /** How many wait. */
  get waiting(): number {
    let waiting = 0;
    for (const line of this.#all()) waiting += line.size;
    return waiting;
  }

  /** Attempts that have left while nothing was known, this one included. */
  quietStart(): number {
    return ++this.#started;
  }

  get quietStarted(): number {
    return this.#started;
  }

  statedBy(call: Call): Stated | Promise<Stated> {
    return statedBy(call, this.options);
  }

  /** Whether an attempt beside others would leave at once, and the next one too. */
  hasRoom(call: Call): boolean {
    return this.quiet || this.lineOf(call).hasRoom(limitShape(call.method, call.target));
  }

  /** Takes in what a reply says. True: it says something about the gates that the attempt tested. */
  heard(call: Call, reply: Reply, sight: ReplySight, now: number): boolean {
    const wallMs = this.#deps.clock.wallTime();
    const stop = stopOf(reply, wallMs);
    const readings = this.options.learn ? this.#read(reply.headers, wallMs) : undefined;
    if (readings === undefined && stop === undefined && this.#isNothing(call, sight, now)) return true;
    // A cache on the way tells of the time when it stored the reply (RFC 9111 §5.1).
    if (Number(headerOf(reply.headers, 'age') ?? 0) > 0) return false;
    const { shape = limitShape(call.method, call.target) } = sight;
    this.#tell(call, { readings: readings ?? NO_READINGS, stop }, { ...sight, shape }, now);
    return true;
  }

  #tell(call: Call, { readings, stop }: Said, sight: Sight, now: number): void {
    const line = this.lineOf(call);
    const { account } = line;
    if (stop === undefined) account.answered(readings, sight, now);
    else this.#report(call, account, account.refused(readings, stop, sight, now), now);
    if (readings.length > 0 || stop !== undefined) line.sweep(now);
  }

  /** Whether a reply without a word on quotas changes nothing, because nothing is known of its credential. */
  #isNothing(call: Call, { pass }: ReplySight, now: number): boolean {
    if (pass !== undefined) return false;
    this.#served.count(now);
    return !this.#lines.has(this.#credentialOf(call.headers));
  }

  lineOf(call: Call): Line {
    const credential = this.#credentialOf(call.headers);
    let line = this.#lines.get(credential);
    if (line === undefined) {
      const { clock, draining, random } = this.#deps;
      const { queue, waitMs } = this.options;
      const account = new Account(this.options, random, this.#takeServed());
      line = new Line(account, { clock, queue, waitMs, draining });
      this.#lines.set(credential, line);
      for (const one of this.#forgotten) if (one.size === 0) this.#forgotten.delete(one);
    }
    return line;
  }

  /** By an operator's word: forgets what was learned and used. Those who wait may go as the windows allow. */
  reset(): void {
    for (const line of this.#all()) {
      line.account.reset();
      line.pump();
    }
  }

  /** Ends all waits. */
  drain(): void {
    for (const line of this.#all()) line.drain();
  }

  *#all(): Generator<Line> {
    yield* this.#lines.values();
    yield* this.#forgotten;
  }

  #report(call: Call, account: Account, closed: Allowance | undefined, now: number): void {
    const { cause, closedMs } = closedBy(closed, now);
    if (cause === undefined) return;
    const credential = this.#credentialOf(call.headers);
    let limited = '';
    for (const [scope, allowance] of account.parts) if (allowance === closed) limited = scope;
    this.#deps.closed({ cause, closedMs, credential, limited });
  }

  /** The first line goes on with what was counted while there was none; one that comes later knows nothing yet. */
  #takeServed(): Throughput {
    const served = this.#served;
    this.#served = new Throughput();
    return served;
  }

  /** '' for a call without any. */
  #credentialOf(headers: RawHeaders): string {
    const { credentialHeaders } = this.options;
    const { values, hash } = this.#latest;
    if (credentialHeaders.every((name, i) => headerOf(headers, name) === values[i])) return hash;
    const found = credentialHeaders.map((name) => headerOf(headers, name));
    const secrets = credentialHeaders.flatMap((name, i) =>
      found[i] === undefined ? [] : `${name}:${found[i]}\n`,
    );
    this.#latest = { values: found, hash: secrets.length === 0 ? '' : this.#deps.hash(secrets.join('')) };
    return this.#latest.hash;
  }
}

const NO_CREDENTIAL = { values: [], hash: '' };

/** Undefined where none was. */
function closedBy(closed: Allowance | undefined, now: number) {
  return { cause: closed?.gate.cause, closedMs: closed?.gate.closedMs(now) ?? 0 };
}
