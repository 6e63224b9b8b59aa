import type { CallHistory } from './call-history.ts';
import { parametersOf } from './query.ts';

/** The body of `GET /api/calls`: the notable calls in memory, in groups. */
export function callsJson(calls: Pick<CallHistory, 'list' | 'seen'>, query: URLSearchParams) {
  const parameter = parametersOf(query, {
    single: ['upstream', 'outcome', 'id', 'text'],
    repeated: ['open'],
  });
  const groups = calls.list({
    upstream: parameter('upstream'),
    outcome: parameter('outcome'),
    id: parameter('id'),
    text: parameter('text'),
    open: query.getAll('open'),
  });
  return { seen: calls.seen, groups };
}
