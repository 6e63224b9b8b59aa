/* The filters above the queue, and the bulk operations. */

import { allowedChanges, changeAll, changeOne } from './changes.js';
import { button, byId, h, renderOne } from './dom.js';
import { DEFAULTS, LIMITS, matching, SPANS } from './filters.js';
import { count } from './words.js';

/** @import { What } from './changes.js' */
/** @import { Page } from './page-state.js' */

/** Listens to the fields that are part of index.html. @param {Page} page */
export function listenToFilters(page) {
  const form = byId('filters');
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('change', () => page.filter(read()));
  byId('filters-clear').addEventListener('click', () =>
    page.filter({ ...DEFAULTS, status: page.filters.status }),
  );
}

function read() {
  const value = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id)).value.trim();
  return {
    route: value('filter-route'),
    label: value('filter-label'),
    key: value('filter-key'),
    request_id: value('filter-request-id'),
    since: value('filter-since'),
    minAttempts: Math.max(0, Math.floor(Number(value('filter-attempts')) || 0)),
  };
}

/** @param {Page} page */
export function showTools(page) {
  const { filters, routes } = page;
  const names = routes.map(({ name }) => name);
  if (filters.route !== '' && !names.includes(filters.route)) names.push(filters.route);
  renderOne(byId('filter-route-place'), [names], () =>
    choice('filter-route', [
      ['', 'every route'],
      ...names.map((name) => /** @type {[string, string]} */ ([name, name])),
    ]),
  );
  renderOne(byId('filter-since-place'), 'fixed', () =>
    choice('filter-since', [
      ['', 'any time'],
      ...Object.keys(SPANS).map((span) => /** @type {[string, string]} */ ([span, `last ${span}`])),
    ]),
  );
  fill('filter-route', filters.route);
  fill('filter-label', filters.label);
  fill('filter-key', filters.key);
  fill('filter-request-id', filters.request_id);
  fill('filter-since', filters.since);
  fill('filter-attempts', filters.minAttempts === 0 ? '' : String(filters.minAttempts));
  showBulk(page);
  showMore(page);
}

/**
 * @param {string} id
 * @param {readonly (readonly [string, string])[]} options
 */
function choice(id, options) {
  return h(
    'select',
    { id, 'data-focus': id },
    ...options.map(([value, text]) => h('option', { value }, text)),
  );
}

/** Sets a field, unless it is being edited. @param {string} id @param {string} value */
function fill(id, value) {
  const field = /** @type {HTMLInputElement} */ (byId(id));
  if (document.activeElement !== field && field.value !== value) field.value = value;
}

/** @param {Page} page */
function showBulk(page) {
  const chosen = page.list.requests.filter(({ id }) => page.selected.has(id));
  const matches = matching(page.filters, page.routes);
  renderOne(
    byId('bulk'),
    [chosen.map(({ id, status }) => [id, status]), matches, page.filters, page.list.requests.length > 0],
    () => (chosen.length > 0 ? ofChosen(page, chosen) : ofAll(page, matches)),
  );
}

/** @type {readonly [What, string][]} */
const CHOSEN = [
  ['retry', 'Run now or replay'],
  ['cancel', 'Cancel'],
  ['delete', 'Delete'],
];

/**
 * @param {Page} page
 * @param {readonly import('./types.d.ts').Monitor[]} chosen
 */
function ofChosen(page, chosen) {
  const buttons = CHOSEN.map(([what, label]) => {
    const able = chosen.filter(
      (monitor) =>
        allowedChanges(monitor).includes(what) && !(what === 'retry' && monitor.status === 'succeeded'),
    );
    const act = () => page.change(able.map((monitor) => changeOne(what, monitor, page.prefix)));
    return button(`${label} (${able.length})`, act, {
      class: what === 'retry' ? 'small' : 'small danger',
      disabled: able.length === 0,
    });
  });
  const none = () => {
    page.selected.clear();
    page.select('', false);
  };
  return h(
    'div',
    { class: 'buttons' },
    h('span', {}, `${chosen.length} selected:`),
    ...buttons,
    button('clear selection', none, { class: 'link' }),
  );
}

/**
 * @param {Page} page
 * @param {number | undefined} matches
 */
function ofAll(page, matches) {
  if (page.list.requests.length === 0) return h('div');
  const all = (/** @type {'retry' | 'cancel'} */ what) => () =>
    page.change([changeAll(what, page.filters, { prefix: page.prefix, now: page.now(), matches })]);
  const every = () => {
    for (const { id } of page.list.requests) page.selected.add(id);
    page.select('', false);
  };
  const ended =
    page.filters.status.length > 0 &&
    page.filters.status.every((status) => ['succeeded', 'failed', 'cancelled'].includes(status));
  return h(
    'div',
    { class: 'buttons' },
    button('select all on this page', every, { class: 'link' }),
    button(matches === undefined ? 'Run all that match …' : `Run all ${count(matches)} …`, all('retry'), {
      class: 'small',
    }),
    !ended &&
      button(
        matches === undefined ? 'Cancel all that match …' : `Cancel all ${count(matches)} …`,
        all('cancel'),
        { class: 'small danger' },
      ),
  );
}

/** @param {Page} page */
function showMore(page) {
  const listed = page.list.requests.length;
  const matches = matching(page.filters, page.routes);
  const { cursors, next, filters } = page;
  const before = (cursors.length - 1) * filters.limit;
  const of = matches === undefined ? '' : ` of ${count(matches)}`;
  const [, most] = LIMITS;
  renderOne(byId('more'), [listed, of, cursors, next, filters.limit], () =>
    h(
      'div',
      { class: 'buttons' },
      listed > 0 && h('span', { class: 'quiet' }, `${count(before + 1)} to ${count(before + listed)}${of}`),
      cursors.length > 1 &&
        button('previous page', () => page.turn(cursors.slice(0, -1)), { class: 'small' }),
      next !== undefined && button('next page', () => page.turn([...cursors, next]), { class: 'small' }),
      next !== undefined &&
        filters.limit < most &&
        button(`${most} on a page`, () => page.filter({ limit: most }), { class: 'link' }),
    ),
  );
}
