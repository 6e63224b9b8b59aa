import { StoreError, type StoreProblem } from './db.ts';

/**
 * SQLSTATE codes and classes (PostgreSQL manual, appendix A), longest prefix first, and Node's codes for connections.
 */
const PROBLEMS: readonly (readonly [prefix: string, problem: StoreProblem])[] = [
  ['53100', 'full'],
  ['53300', 'unreachable'],
  ['25006', 'read_only'],
  ['55P03', 'locked'],
  ['57P0', 'unreachable'],
  ['08', 'unreachable'],
  // Cardinality, data, integrity, and program limits such as the size of an index row: faults of the statement.
  ['21', 'unwritable'],
  ['22', 'unwritable'],
  ['23', 'unwritable'],
  ['54', 'unwritable'],
  ['XX001', 'corrupt'],
  ['XX002', 'corrupt'],
  ['ECONN', 'unreachable'],
  ['EPIPE', 'unreachable'],
  ['ENOTFOUND', 'unreachable'],
  ['ENOENT', 'unreachable'],
  ['EAI_AGAIN', 'unreachable'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['ETIMEDOUT', 'unreachable'],
];

/** Messages of pg without a code, when a connection ends or is not available in time. */
const LOST = /terminated|timeout|not queryable/i;

/** Serialization failure and deadlock: the transaction was rolled back and can be repeated. */
const SERIALIZATION_FAILURES: ReadonlySet<string> = new Set(['40001', '40P01']);

export function isSerializationFailure(error: unknown): boolean {
  return SERIALIZATION_FAILURES.has(codeOf(error));
}

/**
 * A prepared statement is unknown or known twice, or its columns have another type now: a pooler or a person has run DISCARD ALL, or
 * has given the connection to another session.
 */
const FORGOTTEN: ReadonlySet<string> = new Set(['26000', '42P05', '0A000']);

/** The connection has lost its statements, and the settings of its session perhaps. */
export function isForgotten(error: unknown): boolean {
  return FORGOTTEN.has(codeOf(error));
}

/** Another connection is needed. After a failover, an old one may lead to the server that is read-only now. */
export function isStale(error: unknown): boolean {
  const { problem } = storeErrorOf(error, '');
  return problem === 'unreachable' || problem === 'read_only' || isForgotten(error);
}

/**
 * Converts an error to a StoreError that names the store. The original error is dropped, because it can contain
 * stored data or the URL.
 */
export function storeErrorOf(error: unknown, name: string, during = ''): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const known = PROBLEMS.find(([prefix]) => code.startsWith(prefix))?.[1];
  const problem = known ?? (code === '' && LOST.test(message) ? 'unreachable' : 'failed');
  return new StoreError(problem, `durable store ${name}: ${message || code}${during}`);
}

function codeOf(error: unknown): string {
  const { code, errors } = error as { code?: unknown; errors?: readonly { code?: unknown }[] };
  const first = code ?? errors?.[0]?.code;
  return typeof first === 'string' ? first : '';
}
