import type { CallHistory } from './call-history.ts';
import { parametersOf } from './query.ts';
import { AdminProblem } from './response.ts';

/** The body of `GET /api/calls`: the notable calls in memory, in groups, or one by one after a number of them. Throws 400. */
export function callsJson(calls: Pick<CallHistory, 'list' | 'listAfter' | 'seen'>, query: URLSearchParams) {
  const parameter = parametersOf(query, {
    single: ['upstream', 'outcome', 'id', 'text', 'after'],
    repeated: ['open'],
  });
  const filter = {
    upstream: parameter('upstream'),
    outcome: parameter('outcome'),
    id: parameter('id'),
    text: parameter('text'),
  };
  const after = parameter('after');
  if (after !== undefined) return { seen: calls.seen, ...calls.listAfter(cursorIn(after), filter) };
  return { seen: calls.seen, groups: calls.list({ ...filter, open: query.getAll('open') }) };
}

/** `seen` of an earlier answer. */
function cursorIn(text: string): number {
  if (/^\d{1,16}$/.test(text)) return Number(text);
  throw new AdminProblem(400, '"after" must be the number "seen" of an earlier answer');
}
