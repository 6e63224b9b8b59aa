/** The share of random refusals is averaged over about this many answers. */
const MEMORY = 50;

/** The average starts as if this many answers without a refusal had come before. */
const PRIOR = 10;

/** A smaller share cannot be distinguished from zero. */
const LEAST_SHARE = 0.03;

/** With few calls, refusals in a row are evidence if the probability of bad luck is at most this. */
const DOUBT = 0.001;

/** With many calls, bad luck may start a cooldown about once in this time. */
const MISTAKE_EVERY_S = 60;

/** Refusals in a row that are needed. More than eight add no certainty. */
const FEWEST = 2;
const MOST = 8;

/** From this share of random refusals on, an API is known to refuse at random. */
const ERRATIC_SHARE = 0.05;

/** A refusal counts for this long. */
const FRESH_MS = 60_000;

/** A limit counts as the whole credential's after refusals in this many scopes … */
const SCOPES = 3;
/** … or after this many refusals in two scopes. */
const PAIR = 2;
const PAIR_REFUSALS = 4;

/** More scopes than this are not reported to other replicas. They find the others by probes. */
const MOST_REPORTED = 5;

/**
 * Distinguishes a limit from random refusals. Evidence is a number of refusals in a row that is unlikely to be random. A
 * success of an attempt that left after the first refusal ends the row.
 *
 * The number depends on the observed share of random refusals and on the rate of calls: two for an API that never refuses at
 * random, three at twenty calls a second, five if one call in five is refused at random. Refusals arrive faster than
 * successes, so they come in a row more often than their share suggests.
 *
 * `whole`: evidence for a limit of the whole credential. It must come from several scopes.
 */
export class Evidence {
  readonly #whole: boolean;
  readonly #scopes = new Set<string>();
  #inRow = 0;
  #firstLeftAt = -Infinity;
  #latestAt = -Infinity;
  /** The share of answers that were random refusals, 0 to 1. */
  #share = 0;
  #answers = PRIOR;

  constructor(whole: boolean) {
    this.#whole = whole;
  }

  /** Call for a refusal. True if the evidence is sufficient. */
  refused(scope: string, startedAt: number, now: number, perSecond: number): boolean {
    if (now - this.#latestAt > FRESH_MS) this.#restart();
    this.#latestAt = now;
    if (this.#inRow === 0) this.#firstLeftAt = startedAt;
    this.#inRow++;
    if (this.#whole) this.#scopes.add(scope);
    return this.#inRow >= this.#needed(perSecond) && (!this.#whole || this.#isWide);
  }

  /** Call for a refusal in `scope` by a limit that is known already. */
  confirmed(scope: string): void {
    if (this.#whole) this.#scopes.add(scope);
  }

  /** When the first attempt of the refusals in a row left. */
  get firstLeftAt(): number {
    return this.#firstLeftAt;
  }

  /** The scopes in which the limit was observed; empty for a limit of one scope. */
  get scopes(): readonly string[] {
    return [...this.#scopes].slice(0, MOST_REPORTED);
  }

  /** Whether the limit was observed in this scope. A limit of one scope covers every call that asks. */
  covers(scope: string): boolean {
    return !this.#whole || this.#scopes.has(scope);
  }

  /** Call for an attempt that left at `startedAt` and was not refused. */
  served(startedAt: number): void {
    if (this.#inRow > 0 && startedAt >= this.#firstLeftAt) {
      for (let n = this.#inRow; n > 0; n--) this.#count(1);
      this.#restart();
    }
    this.#count(0);
  }

  /** The limit is over. */
  forget(): void {
    this.#restart();
  }

  /** Whether this API refuses at random, so that this many refusals in a row are no evidence. */
  isUsual(refusals: number): boolean {
    return this.#share >= ERRATIC_SHARE && refusals < this.#needed(0);
  }

  #needed(perSecond: number): number {
    const share = Math.max(LEAST_SHARE, this.#share);
    const doubt = Math.min(DOUBT, 1 / (perSecond * MISTAKE_EVERY_S));
    return Math.min(MOST, Math.max(FEWEST, Math.ceil(Math.log(doubt) / Math.log(share))));
  }

  get #isWide(): boolean {
    const { size } = this.#scopes;
    return size >= SCOPES || (size >= PAIR && this.#inRow >= PAIR_REFUSALS);
  }

  #count(refused: 0 | 1): void {
    this.#answers = Math.min(MEMORY, this.#answers + 1);
    this.#share += (refused - this.#share) / this.#answers;
  }

  #restart(): void {
    this.#inRow = 0;
    this.#scopes.clear();
  }
}
