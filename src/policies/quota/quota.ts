import { LRUCache } from 'lru-cache';
import { headerOf, type RawHeaders } from '../../http/headers.ts';
import { type QuotaReader, quotaReader, type QuotaReading } from '../../http/rate-limit.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import type { GateCause } from '../../proxy/events.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { Allowance, type CallSight } from './allowance.ts';
import type { Closing } from './gate.ts';
import { costOf } from './cost.ts';
import { Line } from './line.ts';
import type { QuotaOptions } from './options.ts';
import { stopOf } from './throttled.ts';
import { Throughput } from './throughput.ts';

export interface QuotaDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Tells credentials apart in all that is kept, shown and counted. */
  readonly hash: (secret: string) => string;
  readonly draining: () => boolean;
  /** A gate closed that was open. */
  readonly closed: (cause: GateCause, closedMs: number, credential: string) => void;
}

/** What an attempt can have seen, and the line that let it through; undefined where nothing was known then. */
export interface Sight extends CallSight {
  readonly line: Line | undefined;
}

/** Credentials whose quotas are known at once; the one that was used longest ago is forgotten first. */
const MOST_CREDENTIALS = 1000;

/** First segments of paths whose resource is known. */
const MOST_RESOURCES = 256;

/** The quotas of an upstream: a line for each credential (and resource, where the API tells them apart) that something is known of. */
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
  /** By the first segment of the path: which of the API's quotas a reply to such a call spoke of. */
  readonly #resources = new Map<string, string>();
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

  /** Nothing is known that could hold a call: the usual state, which costs nothing. */
  get quiet(): boolean {
    return this.#lines.size === 0 && this.options.windows.length === 0;
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

  costOf(call: Call): number | Promise<number> {
    return costOf(call, this.options.cost);
  }

  /** Whether an attempt beside others would leave at once, and the next one too. */
  hasRoom(call: Call): boolean {
    return this.quiet || this.lineOf(call).hasRoom;
  }

  lineOf(call: Call): Line {
    const resource = this.#resources.size === 0 ? undefined : this.#resources.get(segmentOf(call.target));
    return this.#lineOf(call, resource ?? '');
  }

  /** Takes in what a reply says. True: it closed the gate, or kept it closed. */
  heard(call: Call, reply: Reply, sight: Sight, now: number): boolean {
    const { clock } = this.#deps;
    const wallMs = clock.wallTime();
    const stop = stopOf(reply, wallMs);
    const readings = this.options.learn ? this.#read(reply.headers, wallMs) : undefined;
    if (sight.line === undefined && stop === undefined) this.#served.count(now);
    if (readings === undefined && stop === undefined) return false;
    // A cache on the way tells of the time when it stored the reply (RFC 9111 §5.1).
    if (Number(headerOf(reply.headers, 'age') ?? 0) > 0) return false;
    const line = this.#learn(call, readings ?? [], sight, now);
    const closed =
      stop !== undefined && this.#close(line, { ...stop, startedAt: sight.startedAt }, call, now);
    line.sweep(now);
    return closed;
  }

  /** Ends all waits. */
  drain(): void {
    for (const line of this.#all()) line.drain();
  }

  *#all(): Generator<Line> {
    yield* this.#lines.values();
    yield* this.#forgotten;
  }

  /** The line that the reply spoke of. */
  #learn(call: Call, readings: readonly QuotaReading[], sight: Sight, now: number): Line {
    let line = sight.line ?? this.lineOf(call);
    for (const reading of readings) {
      if (reading.resource !== '') {
        this.#knowResource(call.target, reading.resource);
        line = this.#lineOf(call, reading.resource);
      }
      line.allowance.learn(reading, { ...sight, unseen: unseenBy(sight, line) }, now);
    }
    return line;
  }

  /** True when the gate is closed by it. */
  #close({ allowance }: Line, closing: Closing, call: Call, now: number): boolean {
    const { cause } = closing;
    // What says when it resets needs no guess of ours.
    if (cause === 'throttled' && allowance.exhausted(now)) return false;
    if (allowance.close(closing, now)) {
      this.#deps.closed(cause, allowance.gate.closedMs(now) ?? 0, this.#credentialOf(call.headers));
    }
    return allowance.gate.closed;
  }

  #knowResource(target: string, resource: string): void {
    if (this.#resources.size >= MOST_RESOURCES) this.#resources.clear();
    this.#resources.set(segmentOf(target), resource);
  }

  #lineOf(call: Call, resource: string): Line {
    const credential = this.#credentialOf(call.headers);
    const key = resource === '' ? credential : `${credential} ${resource}`;
    let line = this.#lines.get(key);
    if (line === undefined) {
      const { clock, draining, random } = this.#deps;
      const { queue, waitMs, windows } = this.options;
      line = new Line(new Allowance(windows, random, this.#takeServed()), { clock, queue, waitMs, draining });
      this.#lines.set(key, line);
      for (const one of this.#forgotten) if (one.size === 0) this.#forgotten.delete(one);
    }
    return line;
  }

  /** The first line goes on with what was counted while there was none; one that comes later knows nothing yet. */
  #takeServed(): Throughput {
    const served = this.#served;
    this.#served = new Throughput();
    return served;
  }

  /** '' for a call without any. */
  #credentialOf(headers: RawHeaders): string {
    const { credentials } = this.options;
    const { values, hash } = this.#latest;
    if (credentials.every((name, i) => headerOf(headers, name) === values[i])) return hash;
    const found = credentials.map((name) => headerOf(headers, name));
    const secrets = credentials.flatMap((name, i) => (found[i] === undefined ? [] : `${name}:${found[i]}\n`));
    this.#latest = { values: found, hash: secrets.length === 0 ? '' : this.#deps.hash(secrets.join('')) };
    return this.#latest.hash;
  }
}

const NO_CREDENTIAL = { values: [], hash: '' };

/** The counts of one line mean nothing in another; all that a line let through came after what left while nothing was known. */
function unseenBy({ line: own, unseen }: Sight, line: Line): number {
  if (own === undefined) return unseen + line.allowance.admitted;
  return own === line ? unseen : 0;
}

/** `/search/code?q=x` → `search` */
function segmentOf(target: string): string {
  const end = target.slice(1).search(/[/?]/);
  return end < 0 ? target.slice(1) : target.slice(1, end + 1);
}
