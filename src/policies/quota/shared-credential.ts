import type { TokenSources } from './token-source.ts';

/** A text that is kept about a credential. */
export interface KeptText {
  readonly text: string;
  /** How long it is kept from now on, in milliseconds. */
  readonly leftMs: number;
}

/** The state of one credential that replicas share. No method waits longer than 50 ms for the store. */
export interface SharedCredential {
  /** The units of its windows. */
  readonly tokens: TokenSources;
  /** How many replicas there are, this one included. */
  readonly replicas: number;
  /** The text that is kept for replicas that start; undefined: nothing, or the store does not answer. */
  kept(): Promise<KeptText | undefined>;
  /** Keeps `text` for `ms` in place of what is there. */
  keep(text: string, ms: number): void;
  /** Informs the other replicas. The text may be lost. */
  tell(text: string): void;
  /** Receives the texts of the others. `lost`: what was kept is lost, or could not be kept for a time. */
  listen(listener: CredentialListener): void;
  /** Requests the lease `name` for `ms`. Undefined: this replica has it, or there is no store. Otherwise another one, for so long. */
  claim(name: string, ms: number): Promise<number | undefined>;
  release(name: string): void;
}

export interface CredentialListener {
  heard(text: string): void;
  lost(): void;
}
