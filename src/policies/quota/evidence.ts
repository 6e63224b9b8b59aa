/** The share of random refusals is taken over about so many answers. */
const MEMORY = 50;

/** In the beginning it is as if so many had been answered before. */
const PRIOR = 10;

/** A share below this cannot be told from none. */
const LEAST_SHARE = 0.03;

/** So unlikely must it be that refusals in a row are bad luck, where calls are few. */
const DOUBT = 0.001;

/** Where calls are many, bad luck may close a gate about once in this time. */
const MISTAKE_EVERY_S = 60;

/** Two in a row at least; more than eight tell nothing new. */
const FEWEST = 2;
const MOST = 8;

/** An API of which this share was refused by chance is known to do that. */
const ERRATIC_SHARE = 0.05;

/** A refusal counts for this long. */
const FRESH_MS = 60_000;

/** A limit is taken to hold for all scopes when it was met in this many of them … */
const SCOPES = 3;
/** … or in two, each of them twice. */
const PAIR = 2;
const PAIR_REFUSALS = 4;

/**
 * Tells a limit from bad luck. Rule "what is learned may delay; it refuses only what the evidence covers": one refusal is no limit. A
 * limit is so many refusals in a row, with no success that left later than the first of them, as are unlikely at the share of random
 * refusals that was seen and at the rate of calls. Where an API never does that two in a row are needed, at twenty calls a second three; where it refuses one call in
 * five by chance, five. A refusal is answered faster than a success, so that refusals come in a row more often than by their share.
 *
 * `whole`: the evidence is for a limit of the whole credential. It must come from several scopes.
 */
export class Evidence {
  readonly #whole: boolean;
  readonly #scopes = new Set<string>();
  #inRow = 0;
  #firstLeftAt = -Infinity;
  #latestAt = -Infinity;
  /** Of the answers, those that were refused by chance. */
  #share = 0;
  #answers = PRIOR;

  constructor(whole: boolean) {
    this.#whole = whole;
  }

  /** True when it is enough. */
  refused(scope: string, startedAt: number, now: number, perSecond: number): boolean {
    if (now - this.#latestAt > FRESH_MS) this.#restart();
    this.#latestAt = now;
    if (this.#inRow === 0) this.#firstLeftAt = startedAt;
    this.#inRow++;
    if (this.#whole) this.#scopes.add(scope);
    return this.#inRow >= this.#needed(perSecond) && (!this.#whole || this.#isWide);
  }

  /** A limit that is known was met here too. */
  confirmed(scope: string): void {
    if (this.#whole) this.#scopes.add(scope);
  }

  /** Whether it was met in this scope. A limit that is not made of several scopes covers all of them. */
  covers(scope: string): boolean {
    return !this.#whole || this.#scopes.has(scope);
  }

  /** An attempt that left at `startedAt` was not refused. */
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

  /** Whether so many refusals in a row are usual for this API, because it refuses at random. */
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
