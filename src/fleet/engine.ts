import type { LeaseReply, LeaseRequest } from './ledger.ts';

/** How the fleet stands, as the engine sees it. */
export interface Muster {
  /** Replicas that were seen in the last seconds. */
  readonly replicas: number;
  /** Changes when the engine has lost its data. */
  readonly generation: string;
}

/** A text that replicas share for some time. */
export interface Fact {
  readonly text: string;
  /** How long it is kept from now on, in milliseconds. */
  readonly leftMs: number;
}

/** The database of what replicas share. Each method is one round trip, and one atomic step. Rejects if the engine fails. */
export interface FleetEngine {
  /** Takes units of the window `key`; see `lease`. */
  lease(key: string, request: LeaseRequest): Promise<LeaseReply>;
  /** Says that this replica runs. */
  muster(replica: string): Promise<Muster>;
  /** Says that this replica ends. */
  leave(replica: string): Promise<void>;
  /** The fact of this key. */
  read(key: string): Promise<Fact | undefined>;
  /** Keeps `text` for `ms` in place of what is there. */
  write(key: string, text: string, ms: number): Promise<void>;
  /** Keeps `text` for `ms` if nothing is there. Otherwise resolves with what is there. */
  claim(key: string, text: string, ms: number): Promise<Fact | undefined>;
  /** Keeps `text` for `ms` in place of `expected`, 0 ms: removes it. Resolves with false, and does nothing, if something else is there. */
  exchange(key: string, expected: string, text: string, ms: number): Promise<boolean>;
  /** Sends a message of at most 4 000 characters to all replicas that listen, this one included. It may be lost. */
  publish(message: string): Promise<void>;
  close(): Promise<void>;
}

export interface EngineOptions {
  readonly url: string;
  /** In front of the names of keys, tables and channels. Replicas with the same one are a fleet. */
  readonly prefix: string;
  /** Gives up opening. A server may accept connections and not answer. */
  readonly giveUp: AbortSignal;
  /** A name that no engine has had before, for one that has no data. */
  readonly newGeneration: () => string;
  /** A message of a replica of the fleet, this one included. */
  readonly onMessage: (message: string) => void;
  /** The connection has ended. It is not made again. */
  readonly onLost: (error: Error) => void;
  /** Tests replace the engine's clock. */
  readonly clock?: (() => number) | undefined;
}

/** The longest wait for a connection, and for the first answers on it. */
export const CONNECT_MS = 1_000;

/** A replica that was not seen for this long is gone. */
export const SEEN_MS = 5_000;

/** A number of the engine. Throws if it is none: another version may have changed a function that is stored there. */
export function numberOf(value: unknown): number {
  const number = Number(value ?? Number.NaN);
  if (Number.isFinite(number)) return number;
  throw new Error('the store gave an answer that is not understood');
}
