import { parseDuration } from '../config/fields/units.ts';
import { systemClock } from '../runtime/clock.ts';
import { ADMIN_HELP, ADMIN_OPTIONS } from './admin-api.ts';

/** How the command is called. */
export const USAGE = {
  text: `Usage: breakwater requests list [FILTERS]
       breakwater requests show|attempts|response ID
       breakwater requests retry|cancel ID…
       breakwater requests retry|cancel FILTERS --limit N
       breakwater requests delete ID…

Looks at the durable requests of a running proxy, and changes what becomes of them.

  list       newest first: status, attempts, when the next one is due, and why it waits
  show       all about one, with each attempt and the wait after it
  response   the body of what the upstream answered
  retry      what waits is sent now; what has failed or was cancelled begins again (--force: what has succeeded too)
  cancel     an attempt that runs is cut, and its outcome unknown
  delete     cancels, and erases the bodies

      --status S,T       queued, running, waiting, succeeded, failed, cancelled
      --route NAME       upstream/route
      --label NAME       one of its labels
      --key KEY          its Breakwater-Key
      --kind KIND        request, callback or scheduled
      --parent ID        callbacks of this request, or runs of this schedule
      --sort ORDER       list: newest (first), or next: what waits, soonest first
      --since MOMENT     accepted since 2026-12-01T08:00:00Z, or 2h ago
      --until MOMENT     accepted before
      --min-attempts N   at least so many were made
      --limit N          at most so many (list: 50, up to 500; retry and cancel: up to 10000)
      --cursor C         list: goes on where the page before ended
      --json             list, show and attempts, for machines
${ADMIN_HELP}
  -h, --help             this text

Exit codes: 0 done, 1 no proxy, no such request or refused, 2 called wrongly.
`,
  options: {
    ...ADMIN_OPTIONS,
    status: { type: 'string' },
    route: { type: 'string' },
    label: { type: 'string' },
    key: { type: 'string' },
    kind: { type: 'string' },
    parent: { type: 'string' },
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

/** The options that choose requests; each has the name of the interface's parameter. */
const FILTERS = [
  'status',
  'route',
  'label',
  'key',
  'kind',
  'parent',
  'sort',
  'since',
  'until',
  'min-attempts',
  'limit',
  'cursor',
] as const;

export type Filters = Partial<Record<(typeof FILTERS)[number], string>>;

/** What an action is about. */
export type Takes = 'filters' | 'one' | 'ids' | 'ids or filters';

/** The filters among the options. */
export function filtersOf(values: Readonly<Record<string, unknown>>): Filters {
  return Object.fromEntries(
    FILTERS.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
  );
}

/** What is wrong with a call, to follow the action's name; undefined: nothing. */
export function mistakeIn(takes: Takes, ids: readonly string[], filters: Filters): string | undefined {
  if (takes === 'filters') return ids.length > 0 ? `takes no "${ids[0]}"; show does` : undefined;
  const filter = Object.keys(filters)[0];
  if (filter === undefined) return mistakeInIds(takes, ids);
  if (takes !== 'ids or filters') return `takes no --${filter}`;
  if (ids.length > 0) return `takes ids or --${filter}, not both`;
  return filters.limit === undefined ? 'by filters needs --limit too' : undefined;
}

function mistakeInIds(takes: Takes, ids: readonly string[]): string | undefined {
  if (ids.length === 0) return 'needs the id of a request';
  return takes === 'one' && ids.length > 1 ? 'takes one id only' : undefined;
}

/** The filters as the interface takes them, with a question mark; moments may also be said as how long ago. */
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
