import { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { Fact } from './engine.ts';
import type { Fleet } from './fleet.ts';

/** A claim that is not renewed for this long has ended: its replica is gone, or cannot reach the engine. */
export const LEASE_MS = 5_000;

/** A running claim is renewed this often, so that two renewals may be lost. */
const RENEW_MS = 1_500;

/** News may be lost, so a replica that waits for a key looks again: first after this time, then each time after twice as long. */
const FIRST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1_000;

/** A claim is worth 50 ms, because another replica would send the same request. One late answer must not leave all keys unclaimed. */
const ASK_WHILE_SLOW = true;

/** News about claims: a mark and a key. */
const TOPIC = 'claims';
const WANTED = '?';
const ENDED = '!';

/**
 * The result of leaving a text in place of a claim. `lost`: another replica has taken the key meanwhile, and nothing was written.
 * `away`: the engine did not answer. It may have written it.
 */
export type Left = 'written' | 'lost' | 'away';

/** Keys that one replica works on for all of them: the others wait for what it leaves there. */
export class Claims {
  readonly #fleet: Pick<Fleet, 'ask' | 'tell' | 'listen'>;
  readonly #clock: Clock;
  /** Keys that this replica has claimed, or is claiming: another one may wait for one before its claim was answered. */
  readonly #own = new Map<string, Interest>();
  readonly #watched = new Map<string, Set<Watch>>();

  constructor(fleet: Pick<Fleet, 'ask' | 'tell' | 'listen'>, clock: Clock) {
    this.#fleet = fleet;
    this.#clock = clock;
    fleet.listen(TOPIC, (text) => this.#heard(text.slice(0, 1), text.slice(1)));
  }

  /**
   * Claims the key with `text`, which no other claim has, until the claim ends. Resolves with the fact that is there instead, which
   * `over` replaces, or with undefined if the engine is away or does not answer within 50 ms.
   */
  async take(key: string, text: string, over?: Fact): Promise<Claim | Fact | undefined> {
    const interest = this.#interest(key);
    const asked = await this.#fleet.ask(async (engine) => {
      if (over !== undefined && (await engine.exchange(key, over.text, text, LEASE_MS))) return undefined;
      return engine.claim(key, text, LEASE_MS);
    }, ASK_WHILE_SLOW);
    const there = asked?.answer;
    if (asked !== undefined && (there === undefined || there.text === text))
      return this.#claim(key, text, interest, true);
    this.#forget(key, interest);
    return there;
  }

  /** Claims the key for this replica alone, because the engine is away. It is written when the engine is back. */
  alone(key: string, text: string): Claim {
    return this.#claim(key, text, this.#interest(key), false);
  }

  #interest(key: string): Interest {
    const interest = { wanted: false };
    this.#own.set(key, interest);
    return interest;
  }

  #forget(key: string, interest: Interest): void {
    if (this.#own.get(key) === interest) this.#own.delete(key);
  }

  #claim(key: string, text: string, interest: Interest, confirmed: boolean): Claim {
    const onEnd = () => {
      this.#forget(key, interest);
      if (interest.wanted) this.#fleet.tell(TOPIC, ENDED + key);
      interest.wanted = false;
    };
    return new Claim(key, text, confirmed, { fleet: this.#fleet, clock: this.#clock, onEnd });
  }

  /** Waits for changes of a key that another replica has claimed. End it after use. */
  watch(key: string): Watch {
    const onStart = () => {
      const all = this.#watched.get(key) ?? new Set();
      this.#watched.set(key, all.add(watch));
    };
    const onEnd = () => {
      const others = this.#watched.get(key);
      others?.delete(watch);
      if (others?.size === 0) this.#watched.delete(key);
    };
    const watch = new Watch(key, { fleet: this.#fleet, clock: this.#clock, onStart, onEnd });
    return watch;
  }

  #heard(mark: string, key: string): void {
    if (mark === WANTED) {
      const interest = this.#own.get(key);
      if (interest !== undefined) interest.wanted = true;
    } else {
      for (const watch of this.#watched.get(key) ?? []) watch.changed();
    }
  }
}

interface Interest {
  /** Another replica waits for the end of the claim. */
  wanted: boolean;
}

interface ClaimDeps {
  readonly fleet: Pick<Fleet, 'ask' | 'tell'>;
  readonly clock: Clock;
  readonly onEnd: () => void;
}

/** A key that this replica works on. The claim is renewed until it ends. */
export class Claim {
  readonly key: string;
  readonly #text: string;
  readonly #deps: ClaimDeps;
  #confirmed: boolean;
  #lost = false;
  #ended = false;
  #next: Timer | undefined;
  #renewal: Promise<void> | undefined;

  constructor(key: string, text: string, confirmed: boolean, deps: ClaimDeps) {
    this.key = key;
    this.#text = text;
    this.#confirmed = confirmed;
    this.#deps = deps;
    this.#renewLater();
  }

  /** False: the engine has not answered, so another replica may work on the key too. */
  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** Ends the claim, and leaves `text` for `ms`. May be called again after `away`. */
  async leave(text: string, ms: number): Promise<Left> {
    await this.#stop();
    const left = this.#lost ? 'lost' : await this.#put(text, ms);
    this.#deps.onEnd();
    return left;
  }

  /** Ends the claim, and leaves nothing: the next replica that wants the key gets it. */
  async release(): Promise<void> {
    await this.#stop();
    // Otherwise the others would wait for the end of the lease.
    if (!this.#lost)
      await this.#deps.fleet.ask((engine) => engine.exchange(this.key, this.#text, '', 0), ASK_WHILE_SLOW);
    this.#deps.onEnd();
  }

  /** The lease may have ended, or the engine may have lost its data. Then the key is still free, or it is another replica's. */
  async #put(text: string, ms: number): Promise<Left> {
    const asked = await this.#deps.fleet.ask(async (engine) => {
      if (await engine.exchange(this.key, this.#text, text, ms)) return true;
      const there = await engine.claim(this.key, text, ms);
      return there === undefined || there.text === text;
    }, ASK_WHILE_SLOW);
    if (asked === undefined) return 'away';
    return asked.answer ? 'written' : 'lost';
  }

  #renewLater(): void {
    this.#next = this.#deps.clock.timer(RENEW_MS, () => {
      this.#renewal = this.#renew();
    });
  }

  async #renew(): Promise<void> {
    const left = await this.#put(this.#text, LEASE_MS);
    if (this.#ended) return;
    if (left === 'lost') this.#lost = true;
    else this.#renewLater();
    if (left === 'written') this.#confirmed = true;
  }

  /** A renewal that runs would take the key again. */
  async #stop(): Promise<void> {
    this.#ended = true;
    this.#next?.cancel();
    await this.#renewal;
  }
}

/** Waits for changes of one key. */
export class Watch {
  readonly #key: string;
  readonly #deps: ClaimDeps & { readonly onStart: () => void };
  #changed = false;
  /** When the lease of the claim ends that was seen. */
  #claimedUntil = -Infinity;
  #wake: Abort | undefined;
  /** The claim whose replica knows that this one waits. */
  #announcedTo: string | undefined;
  #lookMs = FIRST_LOOK_MS;

  constructor(key: string, deps: ClaimDeps & { readonly onStart: () => void }) {
    this.#key = key;
    this.#deps = deps;
  }

  /**
   * Waits until what was `seen` may have changed: its claim has ended, its lease is over, or it is time to look. Undefined: the
   * engine did not answer. Resolves at once the first time, so that a change before its replica knew of this one is not missed.
   * Rejects when `signal` aborts.
   */
  async change(seen: Fact | undefined, signal: Abort): Promise<void> {
    if (signal.aborted) throw signal.reason;
    const { clock } = this.#deps;
    if (seen !== undefined) this.#claimedUntil = clock.now() + seen.leftMs;
    if (seen !== undefined && this.#announcedTo !== seen.text) {
      if (this.#announcedTo === undefined) this.#deps.onStart();
      this.#announcedTo = seen.text;
      this.#deps.fleet.tell(TOPIC, WANTED + this.#key);
      return;
    }
    if (!this.#changed) await this.#sleep(Math.min(this.#claimedUntil - clock.now(), this.#lookMs), signal);
    this.#lookMs = Math.min(LONGEST_LOOK_MS, 2 * this.#lookMs);
    this.#changed = false;
  }

  /** False: no claim was seen, or its lease is over. */
  get isClaimed(): boolean {
    return this.#deps.clock.now() < this.#claimedUntil;
  }

  changed(): void {
    this.#changed = true;
    this.#wake?.abort(NEWS);
  }

  end(): void {
    this.#deps.onEnd();
  }

  async #sleep(ms: number, signal: Abort): Promise<void> {
    const wake = new Abort(signal);
    this.#wake = wake;
    try {
      await this.#deps.clock.sleep(Math.max(1, ms), wake);
    } catch (reason) {
      if (reason !== NEWS) throw reason;
    } finally {
      this.#wake = undefined;
    }
  }
}

/** Ends a wait. It never leaves this module. */
const NEWS = new Error('the claim has ended');
