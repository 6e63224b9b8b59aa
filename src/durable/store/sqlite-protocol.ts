import type { Purpose, StoreProblem, Value } from './db.ts';

/** A statement without its parameters. It is sent once; after that, its number is enough. */
export interface SentText {
  readonly sql: string;
  readonly precondition: boolean;
}

/** Numbers and parameters are two lists, because an object for each statement costs both threads more. */
export interface SentBatch {
  readonly id: number;
  /** The number of each statement. */
  readonly texts: readonly number[];
  /** The parameters of each statement. */
  readonly params: readonly (readonly Value[])[];
  readonly purpose: Purpose;
}

/** The rows of a statement. Without names in each row, a message costs both threads less. */
export interface SentRows {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

export type ToWorker =
  | { readonly kind: 'batches'; readonly texts: readonly SentText[]; readonly batches: readonly SentBatch[] }
  | { readonly kind: 'backup'; readonly id: number; readonly file: string }
  | { readonly kind: 'bytes'; readonly id: number }
  | { readonly kind: 'close'; readonly id: number };

export interface Failure {
  readonly problem: StoreProblem;
  readonly message: string;
}

export type Answer =
  | { readonly id: number; readonly tables: readonly SentRows[] }
  | { readonly id: number; readonly value: number }
  | { readonly id: number; readonly failure: Failure };

export type FromWorker =
  | { readonly kind: 'open'; readonly failure: Failure | undefined }
  | {
      readonly kind: 'answers';
      readonly answers: readonly Answer[];
      /** Duration of the commit in milliseconds. Undefined without a commit. */
      readonly commitMs: number | undefined;
    };

export interface WorkerData {
  readonly file: string;
}

/** Below this size a copy is cheaper than a transfer. */
const MIN_TRANSFER_BYTES = 16 * 1024;

/**
 * Returns bytes that a message can carry without the rest of a larger buffer (Node's pool, a socket's chunk). Large
 * ones are copied and the copy is transferred, so the caller's bytes stay valid.
 */
export function transferable(bytes: Uint8Array, transfer: ArrayBuffer[]): Uint8Array {
  if (bytes.byteLength < MIN_TRANSFER_BYTES)
    return bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);
  const copy = new Uint8Array(bytes);
  transfer.push(copy.buffer);
  return copy;
}

/** Transfers the large blobs of rows, which nothing else references. */
export function addTransfers({ rows }: SentRows, transfer: ArrayBuffer[]): void {
  for (const row of rows) {
    for (const value of row) {
      if (value instanceof Uint8Array && value.byteLength >= MIN_TRANSFER_BYTES)
        transfer.push(value.buffer as ArrayBuffer);
    }
  }
}
