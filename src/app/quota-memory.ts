import { FactKeys } from './fact-keys.ts';
import type { SharedScope } from './fleet-side.ts';
import type { StoredNote } from '../durable/store/notes.ts';
import type { Store } from '../durable/store/store.ts';
import { parsedJson } from '../http/document.ts';
import {
  agedFacts,
  type CredentialMemory,
  type QuotaFacts,
  type QuotaMemory,
} from '../policies/quota/quota-memory.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { QuotaMemorySnapshot } from '../telemetry/snapshot.ts';

/** The part of the store that remembers. */
export type NoteStore = Pick<Store, 'notes' | 'writeNotes' | 'secret'>;

export interface QuotaMemoriesDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** Changes are written this often. So a process that is killed loses those of a second. */
const WRITE_EVERY_MS = 1_000;

/** A start does not wait longer for what is remembered, nor an end until it is. */
const PATIENCE_MS = 2_000;

/** The most credentials that are remembered. The one that was added first is forgotten first. */
const MOST_CREDENTIALS = 10_000;

/** Wall clock and monotonic clock differ by rounding. A larger change of the difference is a clock that was set. */
const CLOCK_SET_MS = 1_000;

/** 128 bits. */
const HASH_CHARACTERS = 22;

/**
 * Remembers the quotas of credentials over a restart, in the file of durable requests. A credential is a keyed hash there. The key
 * is derived from the secret of the file.
 */
export class QuotaMemories {
  readonly #deps: QuotaMemoriesDeps;
  #store: NoteStore | undefined;
  #keys: FactKeys | undefined;
  /** By hash of the quota and hash of the credential. */
  readonly #notes = new Map<string, string>();
  /** How many there are of each quota. */
  readonly #perQuota = new Map<string, number>();
  /** Credentials that have changed in the last second, with their facts. */
  readonly #dirty = new Map<string, () => NotedFacts | undefined>();
  /** Those that are not written yet; undefined: to be deleted. */
  #changed = new Map<string, string | undefined>();
  /** Those that are being written. */
  #inFlight = 0;
  #failing = false;
  #writing: Promise<void> = Promise.resolve();
  #next: Timer | undefined;
  /** Wall clock minus monotonic clock, by which the notes were written. */
  #offset = 0;
  #closed = false;

  constructor(deps: QuotaMemoriesDeps) {
    this.#deps = deps;
  }

  /** Reads what an earlier process knew. Later it writes there. Never rejects: quotas work without it. */
  async open(store: NoteStore): Promise<void> {
    try {
      const read = Promise.all([store.secret(), store.notes(MOST_CREDENTIALS)]);
      const [secret, notes] = await this.#patiently(read);
      if (this.#closed) return;
      this.#store = store;
      this.#keys = new FactKeys(secret);
      for (const { name, text } of notes) this.#load(name, text);
    } catch (error) {
      this.#deps.logger.warn({ error }, 'quotas are not remembered: what the store knows could not be read');
      return;
    }
    const { clock, logger } = this.#deps;
    this.#offset = clock.wallTime() - clock.now();
    void this.#flush();
    if (this.#notes.size > 0)
      logger.info(
        { remembered: this.#notes.size },
        'quotas of an earlier process are remembered; used units and cooldowns still count',
      );
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#next?.cancel();
    if (this.#store === undefined) return;
    this.#save();
    await this.#patiently(this.#flush()).catch(() => undefined);
  }

  /** The memory of one quota. What was learned with another `learning` does not count (see `learningOf`), but used units do. */
  of({ name, origin, account }: SharedScope, learning: string): QuotaMemory {
    const identity = [name, origin, ...account];
    let quota: string | undefined;
    let learnt: string | undefined;
    const prefix = (keys: FactKeys) => (quota ??= hashOf(keys, 'quota', ...identity));
    const learningBy = (keys: FactKeys) => (learnt ??= hashOf(keys, 'learning', learning));
    const notes = this.#notes;
    const perQuota = this.#perQuota;
    const keysOf = () => this.#keys;
    return {
      get isEmpty() {
        const keys = keysOf();
        return keys === undefined || notes.size === 0 || !perQuota.has(prefix(keys));
      },
      of: (credential) => {
        const keys = keysOf();
        if (keys === undefined) return undefined;
        const note = `${prefix(keys)}.${hashOf(keys, 'credential', credential)}`;
        return this.#credential(note, learningBy(keys));
      },
      clear: () => {
        const keys = keysOf();
        if (keys === undefined) return;
        for (const note of notes.keys()) if (note.startsWith(prefix(keys))) this.#forget(note);
        void this.#flush();
      },
    };
  }

  /** Undefined without a store that remembers. */
  snapshot(): QuotaMemorySnapshot | undefined {
    return (
      this.#store && {
        credentials: this.#notes.size,
        unwritten: this.#dirty.size + this.#changed.size + this.#inFlight,
        failing: this.#failing,
      }
    );
  }

  #credential(note: string, learning: string): CredentialMemory {
    return {
      recall: () => {
        const text = this.#notes.get(note);
        return text === undefined ? undefined : factsOf(text, this.#deps.clock.wallTime(), learning);
      },
      changed: (facts) => {
        this.#dirty.set(note, () => notedFacts(facts(), learning));
        this.#writeSoon();
      },
    };
  }

  #writeSoon(): void {
    if (this.#closed) return;
    this.#next ??= this.#deps.clock.timer(WRITE_EVERY_MS, () => {
      this.#next = undefined;
      this.#save();
      void this.#flush();
    });
  }

  #load(name: string, text: string): void {
    if (factsOf(text, this.#deps.clock.wallTime()) === undefined) this.#changed.set(name, undefined);
    else {
      this.#notes.set(name, text);
      this.#count(name, 1);
    }
  }

  #save(): void {
    const { clock } = this.#deps;
    const wallMs = clock.wallTime();
    this.#followClock(wallMs - clock.now());
    for (const [note, facts] of this.#dirty) this.#put(note, facts(), wallMs);
    this.#dirty.clear();
  }

  /** If the clock was set, the moments that were written before belong to another clock. */
  #followClock(offset: number): void {
    const moved = offset - this.#offset;
    if (Math.abs(moved) <= CLOCK_SET_MS) return;
    this.#offset = offset;
    for (const [note, text] of this.#notes) {
      const [writtenAt, facts] = parsedJson(text) as [number, unknown];
      this.#write(note, JSON.stringify([writtenAt + moved, facts]));
    }
  }

  #put(note: string, facts: NotedFacts | undefined, wallMs: number): void {
    if (facts === undefined) return this.#forget(note);
    const oldest = this.#notes.keys().next().value;
    if (!this.#notes.has(note) && this.#notes.size >= MOST_CREDENTIALS && oldest !== undefined)
      this.#forget(oldest);
    this.#write(note, JSON.stringify([wallMs, facts]));
  }

  #write(note: string, text: string): void {
    if (!this.#notes.has(note)) this.#count(note, 1);
    this.#notes.set(note, text);
    this.#changed.set(note, text);
  }

  #forget(note: string): void {
    if (!this.#notes.delete(note)) return;
    this.#count(note, -1);
    this.#changed.set(note, undefined);
  }

  #count(note: string, more: number): void {
    const quota = note.slice(0, HASH_CHARACTERS);
    const count = (this.#perQuota.get(quota) ?? 0) + more;
    if (count > 0) this.#perQuota.set(quota, count);
    else this.#perQuota.delete(quota);
  }

  /** Writes one after another, so that an older text never replaces a newer one. */
  #flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeChanged());
    return this.#writing;
  }

  async #writeChanged(): Promise<void> {
    const changed = this.#changed;
    if (changed.size === 0 || this.#store === undefined) return;
    this.#changed = new Map();
    this.#inFlight = changed.size;
    try {
      await this.#store.writeNotes(Array.from(changed, ([name, text]): StoredNote => ({ name, text })));
      this.#turn(false);
    } catch (error) {
      for (const [name, text] of changed) if (!this.#changed.has(name)) this.#changed.set(name, text);
      this.#turn(true, error);
      this.#writeSoon();
    } finally {
      this.#inFlight = 0;
    }
  }

  #turn(failing: boolean, error?: unknown): void {
    if (failing === this.#failing) return;
    this.#failing = failing;
    const { logger } = this.#deps;
    if (failing)
      logger.warn({ error }, 'quotas are not remembered: the store of durable requests could not be written');
    else logger.info({}, 'quotas are remembered again');
  }

  #patiently<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.#deps.clock.timer(PATIENCE_MS, () => reject(new Error('the store took too long')));
      answer.then(resolve, reject).finally(() => timer.cancel());
    });
  }
}

/** Facts, with a hash of what learning depended on. */
interface NotedFacts extends QuotaFacts {
  readonly learning: string;
}

const notedFacts = (facts: QuotaFacts | undefined, learning: string): NotedFacts | undefined =>
  facts && { ...facts, learning };

/**
 * A clock that was set back makes nothing last longer than it did when it was written. `learning`: used units alone, if something
 * else was learned; undefined: all facts.
 */
function factsOf(text: string, wallMs: number, learning?: string): QuotaFacts | undefined {
  const parsed = parsedJson(text);
  if (!Array.isArray(parsed)) return undefined;
  const [writtenAt, noted] = parsed as [unknown, Partial<NotedFacts> | null | undefined];
  if (typeof writtenAt !== 'number') return undefined;
  const isOther = learning !== undefined && noted?.learning !== learning;
  const facts = isOther ? { ...noted, reports: [], scopes: [] } : noted;
  return agedFacts(facts, Math.max(0, wallMs - writtenAt));
}

const hashOf = (keys: FactKeys, ...parts: readonly string[]): string =>
  keys
    .hashOf('remembered', ...parts)
    .toString('base64url')
    .slice(0, HASH_CHARACTERS);
