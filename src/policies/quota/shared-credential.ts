import type { TokenSource, TokenSources } from './token-source.ts';

/** The store answers within this time, in milliseconds, or counts as absent. */
export const PATIENCE_MS = 50;

/** A text that is kept about a credential. */
export interface KeptText {
  readonly text: string;
  /** How long it is kept from now on, in milliseconds. */
  readonly leftMs: number;
}

/** The state of one credential that replicas share. Only `kept` may wait longer than 50 ms for the store. */
export interface SharedCredential {
  /** The units of its windows. */
  readonly tokens: TokenSources;
  /** How many replicas there are, this one included. */
  readonly replicas: number;
  /** The store cannot be used. */
  readonly away: boolean;
  /** The text that is kept for replicas that start; undefined: none, or the store cannot be reached. It may take long. */
  kept(): Promise<KeptText | undefined>;
  /** Keeps `text` for `ms` in place of what is there. */
  keep(text: string, ms: number): void;
  /** Informs the other replicas. The text may be lost. */
  tell(text: string): void;
  /** Receives the texts of the others, and hears of units. `lost`: what was kept is lost, or could not be kept for a time. */
  listen(listener: CredentialListener): void;
  /** Ends `listen`. */
  unlisten(listener: CredentialListener): void;
  /** Requests the lease `name` for `ms`. Undefined: this replica has it, or there is no store. Otherwise another one, for so long. */
  claim(name: string, ms: number): Promise<number | undefined>;
  release(name: string): void;
  /** The units of the learned limit `name`. */
  learned(name: string): LearnedUnits;
}

/** A limit that the upstream has stated. */
export interface LearnedLimit {
  readonly limit: number;
  readonly windowMs: number;
}

/** The number of the window that replicas count in. */
export interface NumberedWindow {
  readonly number: number;
  /** Its length, as the replica knew it that has begun to count. All use this one, because each may estimate another. */
  readonly windowMs: number;
  /** This replica has begun to count. */
  readonly first: boolean;
}

/** The units of a limit that the upstream has stated. Its windows are numbered, so that all replicas count in the same one. */
export interface LearnedUnits {
  /** How many replicas there are, this one included. */
  readonly replicas: number;
  /** The store cannot be used. */
  readonly away: boolean;
  /**
   * The number of the window that runs now, and ends in `resetMs`. The window `ended` (undefined: none) has ended, as this replica
   * sees it. Undefined if the store does not answer within 50 ms.
   */
  window(ended: number | undefined, resetMs: number, windowMs: number): Promise<NumberedWindow | undefined>;
  /** Waiting calls may have got units. */
  wake(): void;
  /** The units of a window. */
  tokens(number: number, limit: LearnedLimit): TokenSource;
  /** The units of a limit that refills continuously, within `windowMs`. */
  refilled(limit: LearnedLimit): TokenSource;
}

export interface CredentialListener {
  heard(text: string): void;
  lost(): void;
  /** Calls that wait may have got units. */
  pump(): void;
}
