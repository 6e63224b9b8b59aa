import type { Allowance, Passing, Taken } from './limiter.ts';

/** What an attempt has taken, of the whole credential and of its scope. */
export interface Pass {
  readonly scope: string;
  readonly cost: number;
  readonly whole: Held;
  /** Undefined where nothing was known of its scope. */
  readonly part: Held | undefined;
}

export interface Held {
  readonly allowance: Allowance;
  readonly taken: Taken;
}

/** How many like it go before a call: of all of its credential, and of its scope. */
export interface Ahead {
  readonly whole: number;
  readonly part: number;
}

/** What holds a call of one scope: what is known of its whole credential, and what is known of its scope. */
export class Way {
  readonly scope: string;
  readonly whole: Allowance;
  readonly part: Allowance | undefined;
  /** The scope is presumed, and no reply has said it. */
  readonly #presumed: boolean;

  constructor(scope: string, whole: Allowance, part: Allowance | undefined, presumed: boolean) {
    this.scope = scope;
    this.whole = whole;
    this.part = part;
    this.#presumed = presumed;
  }

  /** When an attempt may leave; not in the past. Infinity: that hangs on a probe. */
  readyAt(ahead: Ahead, cost: number, now: number): number {
    const at = this.whole.readyAt(ahead.whole, cost, now, this.#strange);
    if (this.part === undefined) return at;
    return Math.max(at, this.part.readyAt(ahead.part, cost, now, this.#presumed));
  }

  /** The same as far as it is known: who would wait longer may be refused. */
  knownAt(ahead: Ahead, cost: number, now: number): number {
    const at = this.whole.knownAt(ahead.whole, cost, now, this.#strange);
    if (this.part === undefined) return at;
    return Math.max(at, this.part.knownAt(ahead.part, cost, now, this.#presumed));
  }

  /** Windows and meters of the whole credential hold it: nobody may go before it. */
  isCounted(cost: number, now: number, toleranceMs: number): boolean {
    return this.whole.countedAt(0, cost, now) - now > toleranceMs;
  }

  /** When a test of the meters is due that hold it; Infinity where something else holds it. */
  riskAt(cost: number, now: number, quietMs = 0): number {
    return Math.max(this.whole.riskAt(cost, now, quietMs), this.part?.riskAt(cost, now, quietMs) ?? now);
  }

  take(cost: number, now: number, risked: boolean): Pass {
    const { part, scope, whole } = this;
    const pass = (stranger: boolean): Passing => ({ stranger, risked });
    return {
      scope,
      cost,
      whole: { allowance: whole, taken: whole.take(cost, now, pass(this.#strange)) },
      part: part && { allowance: part, taken: part.take(cost, now, pass(this.#presumed)) },
    };
  }

  /** Nobody waits. */
  idle(now: number): void {
    this.whole.gate.idle(now);
    this.part?.gate.idle(now);
  }

  /** Nobody knows until when it is closed. */
  get isUnknown(): boolean {
    return this.whole.gate.isUnknown || this.part?.gate.isUnknown === true;
  }

  /** The allowance of which the gate is closed; undefined where none is. */
  get closed(): Allowance | undefined {
    if (this.part?.gate.isOpen === false) return this.part;
    return this.whole.gate.isOpen ? undefined : this.whole;
  }

  exhausted(now: number): boolean {
    return this.whole.exhausted(now) || this.part?.exhausted(now) === true;
  }

  get #strange(): boolean {
    return this.whole.gate.isStranger(this.scope);
  }
}

/** The attempt is about to leave. False: it must not, because of what was learned since it was let through. */
export function start({ whole, part }: Pass, now: number): boolean {
  if (whole.allowance.holds(whole.taken, now) || part?.allowance.holds(part.taken, now) === true)
    return false;
  whole.allowance.start(whole.taken, now);
  part?.allowance.start(part.taken, now);
  return true;
}

/** Nothing of the attempt reached the upstream. */
export function giveBack({ whole, part }: Pass, now: number): void {
  whole.allowance.giveBack(whole.taken, now);
  part?.allowance.giveBack(part.taken, now);
}

/** The attempt says nothing about the gates that it tests: others may test them. */
export function voided({ whole, part }: Pass, now: number): void {
  if (whole.taken.probe) whole.allowance.gate.voided(now);
  if (part?.taken.probe === true) part.allowance.gate.voided(now);
}
