/** The settings of one run of the bench, for every part. */
export interface Context {
  readonly quick: boolean;
  /** Breakwater from src/ instead of dist/. */
  readonly fromSource: boolean;
  /** Deleted at the end. */
  readonly tempDir: string;
  /** Names of contenders in lower case; undefined: all. */
  readonly only: readonly string[] | undefined;
  /** Rounds of the data path and of durable work; undefined: the usual number. */
  readonly rounds: number | undefined;
  /** Streams: measured at the highest priority (nice −20), so that other load on the machine changes less. */
  readonly priority: boolean;
  /** Policies: the folders of other built checkouts to compare with each other; empty: this one alone. */
  readonly builds: readonly string[];
  /** Durable calls of a round; undefined: the usual number. */
  readonly calls: number | undefined;
  progress(text: string): void;
}
