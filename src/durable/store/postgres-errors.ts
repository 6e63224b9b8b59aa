import { StoreError, type StoreProblem } from './db.ts';

/** SQLSTATE codes and classes (PostgreSQL manual, appendix A), longest prefix first; and what node says of a connection. */
const PROBLEMS: readonly (readonly [prefix: string, problem: StoreProblem])[] = [
  ['53100', 'full'],
  ['53300', 'unreachable'],
  ['25006', 'read_only'],
  ['55P03', 'locked'],
  ['57P0', 'unreachable'],
  ['08', 'unreachable'],
  // Cardinality, data, integrity, and a program's limit (an index's longest row): the statement's own.
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

/** What pg says without a code when a connection ends under it or cannot be had in time. */
const LOST = /terminated|timeout|not queryable/i;

/** Two transactions stood in each other's way and this one gave in; nothing of it happened. */
const SERIALIZATION_FAILURES: ReadonlySet<string> = new Set(['40001', '40P01']);

export function isSerializationFailure(error: unknown): boolean {
  return SERIALIZATION_FAILURES.has(codeOf(error));
}

/** Which store complained of what. The error itself goes no further: it may hold what was to be stored, or the URL. */
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
