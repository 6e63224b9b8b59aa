import { StoreError, type Value } from './db.ts';
import { storable } from './storable.ts';

/** Types of PostgreSQL. */
type ColumnType = 'TEXT' | 'BIGINT' | 'BYTEA';

/** A column of a table that is given by parameters, and its value for each `T`. */
export interface Column<T> {
  readonly name: string;
  readonly type: ColumnType;
  readonly of: (row: T) => Value;
}

/** Rows that are given by parameters, from `$1` on, as a table for FROM. */
export function tableOf<T>(name: string, columns: readonly Column<T>[]): string {
  return `unnest(${columns.map(({ type }, i) => `CAST($${i + 1} AS ${type}[])`).join(', ')})
      AS ${name} (${columns.map((column) => column.name).join(', ')})`;
}

/** The parameters of `tableOf`. */
export function arraysOf<T>(rows: readonly T[], columns: readonly Column<T>[]): Value[] {
  return columns.map(({ type, of }) =>
    arrayOf(
      type,
      rows.map((row) => storable(of(row))),
    ),
  );
}

/** The numbers of the types in PostgreSQL's catalog. */
const OIDS: Readonly<Record<ColumnType, number>> = { BYTEA: 17, BIGINT: 20, TEXT: 25 };

/** Dimensions, whether there are nulls, the type, and of the only dimension its length and its first index. */
const HEADER_WORDS = 5;
const WORD_BYTES = 4;
const NULL_LENGTH = -1;
const BIGINT_BYTES = 8;
const LONGEST_CHARACTER = 3;

/**
 * An array as a parameter, in binary form. As text, each element would be escaped here and parsed by the server. The layout is that of
 * `array_recv`: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
 */
function arrayOf(type: ColumnType, values: readonly Value[]): Uint8Array {
  const room = values.reduce((sum: number, value) => sum + WORD_BYTES + mostBytes(value), 0);
  const array = Buffer.allocUnsafe(HEADER_WORDS * WORD_BYTES + room);
  let at = 0;
  for (const word of [1, Number(values.includes(null)), OIDS[type], values.length, 1])
    at = array.writeInt32BE(word, at);
  for (const value of values) {
    const length = value === null ? NULL_LENGTH : write(value, array, at + WORD_BYTES);
    at = array.writeInt32BE(length, at) + Math.max(0, length);
  }
  return array.subarray(0, at);
}

function mostBytes(value: Value): number {
  if (value === null) return 0;
  if (typeof value === 'number') return BIGINT_BYTES;
  return typeof value === 'string' ? value.length * LONGEST_CHARACTER : value.byteLength;
}

/** Returns the number of bytes. */
function write(value: NonNullable<Value>, to: Buffer, at: number): number {
  if (typeof value === 'string') return to.write(value, at);
  if (typeof value === 'number') return writeBigint(value, to, at);
  to.set(value, at);
  return value.byteLength;
}

/** By two words, because a BigInt costs an object. */
function writeBigint(value: number, to: Buffer, at: number): number {
  if (!Number.isSafeInteger(value))
    throw new StoreError('unwritable', `durable store: ${value} is no integer`);
  to.writeInt32BE(Math.floor(value / 2 ** 32), at);
  to.writeInt32BE(value | 0, at + WORD_BYTES);
  return BIGINT_BYTES;
}
