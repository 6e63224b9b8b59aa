import type { Statement, Value } from './db.ts';
import type { Dialect } from './dialect.ts';
import { PARKED } from './insert.ts';
import type { Filter } from './store.ts';

/** Comparisons by the name of their filter. */
const COMPARED = [
  ['route', 'route ='],
  ['orderKey', 'order_key ='],
  ['since', 'created_at >='],
  ['until', 'created_at <'],
  ['minAttempts', 'attempt >='],
  ['kind', 'kind ='],
  ['parent', 'parent ='],
  ['requestId', 'request_id ='],
  ['before', 'seq <'],
] as const satisfies readonly (readonly [keyof Filter, string])[];

/** Lists requests, newest first by default. The SQL depends only on which filters are set, so few are prepared. */
export function listStatement(filter: Filter): Statement {
  const params: Value[] = [];
  const given = (value: Value) => `$${params.push(value)}`;
  const { status, label, limit, after, soonestFirst = false } = filter;
  const conditions = [
    status && oneOf('status', status.map(given)),
    label !== undefined && `seq IN (SELECT seq FROM breakwater_label WHERE label = ${given(label)})`,
    soonestFirst && 'wake_at IS NOT NULL',
    after !== undefined && `(wake_at, seq) > (${given(after.wakeAt)}, ${given(after.seq)})`,
    ...COMPARED.map(([name, column]) => {
      const value = filter[name];
      return value !== undefined && `${column} ${given(value)}`;
    }),
  ].filter((condition) => typeof condition === 'string');
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
  const order = soonestFirst ? 'wake_at, seq' : 'seq DESC';
  return {
    sql: `SELECT * FROM breakwater_job ${where} ORDER BY ${order} LIMIT ${given(limit)}`,
    params,
  };
}

/** SQL has no empty list, so an empty filter matches nothing explicitly. */
function oneOf(column: string, values: readonly string[]): string {
  return values.length === 0 ? '1 = 0' : `${column} IN (${values.join(', ')})`;
}

export const COUNTS: Statement = {
  sql: `SELECT route, status, count(*) AS count,
      min(CASE WHEN status <> 'running' AND wake_at < ${PARKED} THEN wake_at END) AS oldest
    FROM breakwater_job GROUP BY route, status`,
  params: [],
};

export const BACKLOG: Statement = {
  sql: 'SELECT count(*) AS count FROM breakwater_job WHERE wake_at IS NOT NULL',
  params: [],
};

/** The rows of one table that belong to the request with this id. */
export function rowsOf(table: 'request' | 'response' | 'attempt', id: string): Statement {
  const order = table === 'attempt' ? 'ORDER BY n' : '';
  return {
    sql: `SELECT * FROM breakwater_${table}
      WHERE seq = (SELECT seq FROM breakwater_job WHERE id = $1) ${order}`,
    params: [id],
  };
}

export function jobStatement(id: string): Statement {
  return { sql: 'SELECT * FROM breakwater_job WHERE id = $1', params: [id] };
}

export function progressStatement(ids: readonly string[], dialect: Dialect): Statement {
  return {
    sql: `SELECT id, status, attempt, due_at, reason FROM breakwater_job WHERE id IN (${dialect.textsOf('$1')})`,
    params: [JSON.stringify(ids)],
  };
}
