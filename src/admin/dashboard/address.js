/* The view and its filters in the page's URL, so that a link shows the same. Pure. */

import { DEFAULTS, filtersOf, searchOf } from './filters.js';

/** @import { Filters } from './filters.js' */

export const VIEWS = /** @type {const} */ (['traffic', 'durable', 'config', 'whatif']);

/** Stretches of time that the charts show. The 5 minutes are the end of the 15. */
export const SPANS = /** @type {const} */ (['5m', '15m', '6h']);

export const OUTCOMES = /** @type {const} */ ([
  'failed',
  'upstream_error',
  'rejected',
  'rescued',
  'fallback',
  'ok',
  'client_gone',
  'bug',
]);

/**
 * @typedef {object} CallFilters
 * @property {string} upstream '' for all.
 * @property {string} outcome '' for all.
 * @property {string} text A part of the id or of the sentence, or ''.
 * @property {string} call The beginning of an id, or ''.
 */

/**
 * @typedef {object} Address
 * @property {typeof VIEWS[number]} view
 * @property {typeof SPANS[number]} span
 * @property {CallFilters} calls
 * @property {Filters} filters Of the durable requests.
 */

/** @type {CallFilters} */
export const ALL_CALLS = { upstream: '', outcome: '', text: '', call: '' };

/**
 * Reads the URL; invalid values are ignored.
 * @param {string} search
 * @returns {Address}
 */
export function addressOf(search) {
  const query = new URLSearchParams(search);
  const text = (/** @type {string} */ name) => query.get(name) ?? '';
  const filters = filtersOf(search);
  // A link to a request names no view.
  const implied = filters.id === '' ? 'traffic' : 'durable';
  return {
    view: VIEWS.find((one) => one === query.get('view')) ?? implied,
    span: SPANS.find((one) => one === query.get('span')) ?? '15m',
    calls: {
      upstream: text('upstream'),
      outcome: OUTCOMES.find((one) => one === query.get('outcome')) ?? '',
      text: text('text'),
      call: text('call'),
    },
    filters,
  };
}

/**
 * The query with its question mark, or '' for the first view without filters.
 * @param {Address} address
 */
export function searchFor({ view, span, calls, filters }) {
  const query = new URLSearchParams(view === 'durable' ? searchOf(filters) : '');
  if (view !== 'traffic') query.set('view', view);
  if (view === 'traffic') {
    if (span !== '15m') query.set('span', span);
    for (const [name, value] of Object.entries(calls)) if (value !== '') query.set(name, value);
  } else if (view !== 'durable' && calls.upstream !== '') query.set('upstream', calls.upstream);
  const search = query.toString();
  return search === '' ? '' : `?${search}`;
}

/**
 * Where a search leads: ids of durable requests have a prefix.
 * @param {string} text
 * @returns {Partial<Address>}
 */
export function searchTarget(text) {
  return /^(req|evt)_/.test(text)
    ? { view: 'durable', filters: { ...DEFAULTS, status: [], id: text } }
    : { view: 'traffic', calls: { ...ALL_CALLS, text } };
}
