import { parseDuration } from '../config/fields/units.ts';
import { systemClock } from '../runtime/clock.ts';
import { ADMIN_HELP, ADMIN_OPTIONS } from './admin-api.ts';

/** Usage of `breakwater requests`. */
export const USAGE = {
  text: `Usage: breakwater requests list [FILTERS]
       breakwater requests show|attempts|response ID
       breakwater requests retry|cancel ID…
       breakwater requests retry|cancel FILTERS --limit N
       breakwater requests delete ID…

Lists and changes the durable requests of a running proxy.

  list       newest first: status, attempts, time of the next attempt, and why it waits
  show       one request, with each attempt and the wait after it
  attempts   the attempts of one request
  response   the body of the upstream's response
  retry      sends waiting requests now, and restarts failed and cancelled ones (--force: also succeeded ones)
  cancel     cancels requests; the outcome of a running attempt stays unknown
  delete     cancels requests, and erases their bodies

      --status S,T       queued, running, waiting, succeeded, failed, cancelled
      --route NAME       upstream/route
      --label NAME       one of its labels
      --key KEY          its Breakwater-Key
      --kind KIND        request, callback or scheduled
      --parent ID        callbacks of this request, or runs of this schedule
      --request-id ID    submitted by the call with this id (breakwater-request-id), and their callbacks
      --sort ORDER       list: newest (first), or next: waiting requests, soonest first
      --since TIME       accepted since 2026-12-01T08:00:00Z, or 2h for two hours ago
      --until TIME       accepted before this time
      --min-attempts N   with at least N attempts
      --limit N          at most N requests (list: default 50, up to 500; retry and cancel: up to 10000)
      --cursor C         list: continue after the previous page
      --json             list, show and attempts: print JSON
${ADMIN_HELP}
  -h, --help             this text

Exit codes: 0 success, 1 no proxy, unknown request or refused, 2 wrong usage.
`,
  options: {
    ...ADMIN_OPTIONS,
    status: { type: 'string' },
    route: { type: 'string' },
    label: { type: 'string' },
    key: { type: 'string' },
    kind: { type: 'string' },
    parent: { type: 'string' },
    'request-id': { type: 'string' },
    sort: { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    'min-attempts': { type: 'string' },
    limit: { type: 'string' },
    cursor: { type: 'string' },
    force: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
  words: ['ACTION'],
  more: true,
} as const;

/** The options that select requests. Each has the name of the parameter of the API. */
const FILTERS = [
  'status',
  'route',
  'label',
  'key',
  'kind',
  'parent',
  'request-id',
  'sort',
  'since',
  'until',
  'min-attempts',
  'limit',
  'cursor',
] as const;

export type Filters = Partial<Record<(typeof FILTERS)[number], string>>;

/** How an action selects requests. */
export type Takes = 'filters' | 'one' | 'ids' | 'ids or filters';

/** The filters among the options. */
export function filtersOf(values: Readonly<Record<string, unknown>>): Filters {
  return Object.fromEntries(
    FILTERS.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
  );
}

/** The problem of a call, to be printed after the name of the action; undefined: none. */
export function mistakeIn(takes: Takes, ids: readonly string[], filters: Filters): string | undefined {
  if (takes === 'filters')
    return ids.length > 0 ? `takes no id "${ids[0]}"; write show ${ids[0]}` : undefined;
  const filter = Object.keys(filters)[0];
  if (filter === undefined) return mistakeInIds(takes, ids);
  if (takes !== 'ids or filters') return `takes no --${filter}`;
  if (ids.length > 0) return `takes ids or --${filter}, not both`;
  return filters.limit === undefined ? 'with filters needs --limit too' : undefined;
}

function mistakeInIds(takes: Takes, ids: readonly string[]): string | undefined {
  if (ids.length === 0) return 'needs the id of a request';
  return takes === 'one' && ids.length > 1 ? 'takes one id only' : undefined;
}

/** The filters as a query with its question mark. A time may be a duration: so long ago. */
export function queryOf(filters: Filters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filters)) {
    const text = name === 'since' || name === 'until' ? momentOf(value) : value;
    query.set(name.replace('-', '_'), text);
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}

function momentOf(text: string): string {
  const ago = parseDuration(text);
  return 'value' in ago ? new Date(systemClock.wallTime() - ago.value).toISOString() : text;
}
