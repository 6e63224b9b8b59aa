/** The share of random refusals is taken over about so many answers. */
const MEMORY = 20;

/** A share below this cannot be told from none. */
const LEAST_SHARE = 0.03;

/**
 * So unlikely must it be that refusals in a row are bad luck. A refusal is answered faster than a success, so that refusals come in a row more
 * often than by their share; and a busy client rolls these dice ten times a second.
 */
const DOUBT = 0.001;

/** Two in a row at least; more than six tell nothing new. */
const FEWEST = 2;
const MOST = 6;

/** A refusal counts for this long. */
const FRESH_MS = 60_000;

/** A limit is taken to hold for all scopes when it was met in this many of them … */
const SCOPES = 3;
/** … or in two, each of them twice. */
const PAIR = 2;
const PAIR_REFUSALS = 4;

/**
 * Tells a limit from bad luck. Rule "what is learned may delay; it refuses only what the evidence covers": one refusal is no limit. A
 * limit is so many refusals in a row, with no success that left later than the first of them, as are unlikely (one in a thousand) at the share
 * of random refusals that was seen. Where an API refuses one call in five by chance, five in a row are needed, where it never does two.
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

  constructor(whole: boolean) {
    this.#whole = whole;
  }

  /** True when it is enough. */
  refused(scope: string, startedAt: number, now: number): boolean {
    if (now - this.#latestAt > FRESH_MS) this.#restart();
    this.#latestAt = now;
    if (this.#inRow === 0) this.#firstLeftAt = startedAt;
    this.#inRow++;
    if (this.#whole) this.#scopes.add(scope);
    return this.#inRow >= this.#needed && (!this.#whole || this.#isWide);
  }

  /** A limit that is known was met here too. */
  confirmed(scope: string): void {
    if (this.#whole) this.#scopes.add(scope);
  }

  /** Whether it was met in this scope. */
  covers(scope: string): boolean {
    return this.#scopes.has(scope);
  }

  /** An attempt that left at `startedAt` was not refused. */
  served(startedAt: number): void {
    if (this.#inRow > 0 && startedAt > this.#firstLeftAt) {
      for (let n = 0; n < this.#inRow; n++) this.#share += (1 - this.#share) / MEMORY;
      this.#restart();
    }
    this.#share -= this.#share / MEMORY;
  }

  /** The limit was real, and is over. */
  forget(): void {
    this.#restart();
  }

  get #needed(): number {
    const share = Math.max(LEAST_SHARE, this.#share);
    return Math.min(MOST, Math.max(FEWEST, Math.ceil(Math.log(DOUBT) / Math.log(share))));
  }

  get #isWide(): boolean {
    const { size } = this.#scopes;
    return size >= SCOPES || (size >= PAIR && this.#inRow >= PAIR_REFUSALS);
  }

  #restart(): void {
    this.#inRow = 0;
    this.#scopes.clear();
  }
}
