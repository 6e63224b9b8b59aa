/* The filters, stored in the page's URL, so that a link shows the same view. Pure. */

export const UNFINISHED = /** @type {const} */ (['running', 'queued', 'waiting']);
export const STATUSES = /** @type {const} */ ([...UNFINISHED, 'succeeded', 'failed', 'cancelled']);

/** Milliseconds by their name in the URL. @type {Readonly<Record<string, number>>} */
export const SPANS = { '1h': 3_600_000, '24h': 86_400_000, '7d': 604_800_000 };

export const LIMITS = /** @type {const} */ ([100, 500]);

/**
 * @typedef {object} Filters
 * @property {readonly string[]} status Empty: every one.
 * @property {string} route
 * @property {string} label
 * @property {string} key
 * @property {string} request_id Of the call that submitted the request.
 * @property {string} since A key of SPANS, or ''.
 * @property {number} minAttempts
 * @property {number} limit
 * @property {string} id The request that is opened, or ''.
 */

/** @type {Filters} */
export const DEFAULTS = {
  status: UNFINISHED,
  route: '',
  label: '',
  key: '',
  request_id: '',
  since: '',
  minAttempts: 0,
  limit: LIMITS[0],
  id: '',
};

/**
 * Reads the filters of a URL; invalid values are ignored.
 * @param {string} search
 * @returns {Filters}
 */
export function filtersOf(search) {
  const query = new URLSearchParams(search);
  const text = (/** @type {string} */ name) => query.get(name) ?? '';
  const since = text('since');
  const minAttempts = text('min_attempts');
  return {
    status: statusesOf(query.get('status')),
    route: text('route'),
    label: text('label'),
    key: text('key'),
    request_id: text('request_id'),
    since: Object.hasOwn(SPANS, since) ? since : '',
    minAttempts: /^\d{1,6}$/.test(minAttempts) ? Number(minAttempts) : 0,
    limit: LIMITS.find((one) => String(one) === text('limit')) ?? LIMITS[0],
    id: text('id'),
  };
}

/** @param {string | null} given */
function statusesOf(given) {
  if (given === 'all') return [];
  const named = (given ?? '').split(',');
  const known = STATUSES.filter((one) => named.includes(one));
  return known.length === 0 ? UNFINISHED : known;
}

/**
 * The query with its question mark, or '' for the default filters.
 * @param {Filters} filters
 */
export function searchOf(filters) {
  const query = new URLSearchParams();
  if (!sameStatuses(filters.status, UNFINISHED)) query.set('status', filters.status.join(',') || 'all');
  for (const name of /** @type {const} */ (['route', 'label', 'key', 'request_id', 'since']))
    if (filters[name] !== '') query.set(name, filters[name]);
  if (filters.minAttempts > 0) query.set('min_attempts', String(filters.minAttempts));
  if (filters.limit !== LIMITS[0]) query.set('limit', String(filters.limit));
  if (filters.id !== '') query.set('id', filters.id);
  const search = query.toString();
  return search === '' ? '' : `?${search}`;
}

/**
 * @param {readonly string[]} a
 * @param {readonly string[]} b
 */
export function sameStatuses(a, b) {
  return a.length === b.length && a.every((one) => b.includes(one));
}

/**
 * The server's filter parameters, for lists and bulk changes.
 * @param {Filters} filters
 * @param {number} now
 */
export function filterQuery(filters, now) {
  const query = new URLSearchParams();
  if (filters.status.length > 0) query.set('status', filters.status.join(','));
  for (const name of /** @type {const} */ (['route', 'label', 'key', 'request_id']))
    if (filters[name] !== '') query.set(name, filters[name]);
  const span = SPANS[filters.since];
  if (span !== undefined) query.set('since', new Date(now - span).toISOString());
  if (filters.minAttempts > 0) query.set('min_attempts', String(filters.minAttempts));
  return query;
}

/** Whether to sort soonest first: only unfinished requests are shown. @param {Filters} filters */
export function soonestFirst({ status }) {
  return status.length > 0 && status.every((one) => UNFINISHED.some((open) => open === one));
}

/**
 * @param {Filters} filters
 * @param {number} now
 * @param {string} [cursor] Of a page after the first.
 */
export function listQuery(filters, now, cursor = '') {
  const query = filterQuery(filters, now);
  if (soonestFirst(filters)) query.set('sort', 'next');
  query.set('limit', String(filters.limit));
  if (cursor !== '') query.set('cursor', cursor);
  return query.toString();
}

/**
 * The number of matching requests. Undefined if the counts of the routes do not suffice.
 * @param {Filters} filters
 * @param {readonly { readonly name: string, readonly requests: Readonly<Record<string, number>> }[]} routes
 * @returns {number | undefined}
 */
export function matching(filters, routes) {
  const texts = [filters.label, filters.key, filters.request_id, filters.since];
  if (texts.some((text) => text !== '') || filters.minAttempts > 0) return undefined;
  const wanted = filters.status.length === 0 ? STATUSES : filters.status;
  return routes
    .filter(({ name }) => filters.route === '' || name === filters.route)
    .flatMap(({ requests }) => wanted.map((status) => requests[status] ?? 0))
    .reduce((sum, one) => sum + one, 0);
}

/**
 * Updates the shown lines without moving them, so that a click does not select a line that has just moved there. A
 * request that is no longer listed keeps its last state.
 * @template {{ readonly id: string }} T
 * @param {readonly T[]} shown
 * @param {readonly T[]} fresh
 * @returns {T[]}
 */
export function refreshInPlace(shown, fresh) {
  const byId = new Map(fresh.map((one) => [one.id, one]));
  return shown.map((one) => byId.get(one.id) ?? one);
}

/**
 * Puts running requests before all others.
 * @template {{ readonly status: string }} T
 * @param {readonly T[]} requests
 * @returns {T[]}
 */
export function runningFirst(requests) {
  const { running = [], others = [] } = Object.groupBy(requests, ({ status }) =>
    status === 'running' ? 'running' : 'others',
  );
  return [...running, ...others];
}
