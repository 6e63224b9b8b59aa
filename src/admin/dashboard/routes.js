/* The durable routes with their counts, oldest due time, pause and resume, and the totals. */

import { changeRoute } from './changes.js';
import { button, byId, follows, h, renderList, renderOne } from './dom.js';
import { STATUSES, sameStatuses, UNFINISHED } from './filters.js';
import { count } from './words.js';

/** @import { RouteRow } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/** @param {Page} page */
export function showRoutes(page) {
  renderList(byId('routes'), page.routes, {
    key: ({ name }) => name,
    content: (route) => [route, page.filters.route === route.name],
    make: (route) => card(page, route),
  });
  const shown = page.filters.route;
  const counted = shown === '' ? page.routes : page.routes.filter(({ name }) => name === shown);
  const sums = STATUSES.map((status) => ({
    status,
    sum: counted.reduce((sum, { requests }) => sum + (requests[status] ?? 0), 0),
  }));
  const due = counted.flatMap(({ oldest_due_at: at }) => at ?? []).sort()[0];
  renderOne(byId('sums'), [sums, page.filters.status, due], () => tiles(page, sums, due));
}

/**
 * @param {Page} page
 * @param {readonly { status: string, sum: number }[]} sums
 * @param {string | undefined} due
 */
function tiles(page, sums, due) {
  const tile = (
    /** @type {string} */ name,
    /** @type {readonly string[]} */ status,
    /** @type {number} */ sum,
  ) =>
    h(
      'button',
      {
        type: 'button',
        class: `tile is-${sum === 0 ? 'none' : name}`,
        'data-focus': name,
        'aria-pressed': String(sameStatuses(page.filters.status, status)),
        onclick: () => page.filter({ status }),
      },
      h('b', {}, count(sum)),
      name,
    );
  const all = sums.reduce((sum, one) => sum + one.sum, 0);
  const open = sums
    .filter(({ status }) => UNFINISHED.some((one) => one === status))
    .reduce((sum, one) => sum + one.sum, 0);
  const oldest = due !== undefined && Date.parse(due) <= page.now();
  return h(
    'div',
    { class: 'tiles' },
    tile('unfinished', UNFINISHED, open),
    ...sums.map(({ status, sum }) => tile(status, [status], sum)),
    tile('all', [], all),
    h('div', { class: 'tile fact' }, h('b', {}, oldest ? follows(due, 'ago') : '–'), 'oldest due'),
  );
}

/**
 * @param {Page} page
 * @param {RouteRow} route
 */
function card(page, route) {
  const { name, paused, requests, oldest_due_at: due } = route;
  const chosen = page.filters.route === name;
  const parts = STATUSES.filter((status) => (requests[status] ?? 0) > 0).map((status) =>
    h(
      'button',
      {
        type: 'button',
        class: `pill is-${status}`,
        'data-focus': status,
        onclick: () => page.filter({ route: name, status: [status] }),
      },
      `${count(requests[status] ?? 0)} ${status}`,
    ),
  );
  return h(
    'li',
    { class: 'card' },
    h(
      'div',
      { class: 'head' },
      button(name, () => page.filter({ route: chosen ? '' : name }), {
        class: 'link',
        'aria-pressed': String(chosen),
      }),
      paused && h('span', { class: 'pill is-open' }, 'paused'),
      pausing(page, route),
    ),
    h(
      'div',
      { class: 'tags' },
      ...(parts.length === 0 ? [h('span', { class: 'quiet' }, 'no requests')] : parts),
    ),
    due !== undefined &&
      Date.parse(due) <= page.now() &&
      h('div', { class: 'quiet' }, 'oldest due ', follows(due, 'ago')),
  );
}

/**
 * @param {Page} page
 * @param {RouteRow} route
 */
function pausing(page, route) {
  const change = changeRoute(route, page.prefix);
  return button(change.verb, () => page.change([change]), { class: 'small' });
}
