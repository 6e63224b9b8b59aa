/* The details of one request, and its operations. Bodies are shown only on demand. */

import { allowedChanges, changeOne } from './changes.js';
import { button, facts, follows, h, pill } from './dom.js';
import { outcomeOf } from './timeline.js';
import { labelledTimeline } from './timeline-view.js';
import { because, duration, size } from './words.js';

/** @import { Attempt, Monitor } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/**
 * The data on which the details depend.
 * @param {Page} page
 * @param {Monitor} monitor
 */
export function detailContent(page, monitor) {
  return page.opened?.id === monitor.id ? page.opened : monitor.id;
}

/**
 * @param {Page} page
 * @param {Monitor} listed
 */
export function detailOf(page, listed) {
  const monitor = page.opened?.id === listed.id ? page.opened : listed;
  const attempts = page.attemptsOf(monitor);
  const buttons = allowedChanges(monitor).map((what) => {
    const change = changeOne(what, monitor, page.prefix);
    return button(change.verb, () => page.change([change]), { class: change.danger ? 'danger' : '' });
  });
  return h(
    'div',
    { class: 'detail' },
    labelledTimeline(monitor, attempts, page.now()),
    h('div', { class: 'buttons' }, ...buttons),
    factsOf(page, monitor),
    attemptTable(attempts),
  );
}

/**
 * @param {Page} page
 * @param {Monitor} monitor
 */
function factsOf(page, monitor) {
  const { request, plan } = monitor;
  const planned = plan.map((at) => h('span', { class: 'planned-at' }, moment(at)));
  return facts([
    ['Id', h('code', {}, monitor.id)],
    ...endOf(monitor),
    ['Body', `${size(request.bytes)}, sha256 `, h('code', {}, request.sha256.slice(0, 12)), '…'],
    ['Client', monitor.client],
    ['Priority', monitor.priority],
    ['Accepted', moment(monitor.created_at)],
    ['First attempt', moment(monitor.started_at)],
    ['Ended', moment(monitor.finished_at)],
    ['Planned', ...planned],
    ['Deadline', !monitor.done && moment(monitor.deadline)],
    ['Deleted', moment(monitor.purge_at)],
    ...relativesOf(page, monitor),
  ]);
}

/** @typedef {[name: string, ...what: import('./dom.js').Child[]]} Fact */

/** @param {Monitor} monitor @returns {Fact[]} */
function endOf({ error, response }) {
  const cut = response?.truncated ? ', incomplete' : '';
  return [
    ['Error', error && `${error.title} (${because(error.code)})`],
    ['Response', response && `${response.status}, ${size(response.bytes)}${cut}`],
  ];
}

/**
 * @param {Page} page
 * @param {Monitor} monitor
 * @returns {Fact[]}
 */
function relativesOf(page, { callback, kind, parent }) {
  const own = callback?.href?.split('/').at(-1);
  const status = callback?.status;
  return [
    ['Callback', callback?.url, ' ', status && pill(status), ' ', own !== undefined && opening(page, own)],
    [
      kind === 'scheduled' ? 'Schedule' : 'Callback of',
      parent,
      ' ',
      parent?.startsWith('req_') && opening(page, parent),
    ],
  ];
}

/**
 * @param {Page} page
 * @param {string} id
 */
function opening(page, id) {
  return button('open', () => page.open(id), { class: 'link' });
}

/** @param {string | undefined} at */
function moment(at) {
  if (at === undefined) return undefined;
  return h(
    'span',
    {},
    new Date(at).toLocaleString(),
    ' (',
    follows(at, Date.parse(at) > Date.now() ? 'countdown' : 'ago'),
    ')',
  );
}

/** @param {readonly Attempt[]} attempts */
function attemptTable(attempts) {
  if (attempts.length === 0) return h('p', { class: 'quiet' }, 'No attempt has finished yet.');
  const head = ['attempt', 'started', 'duration', 'result', 'then'].map((name) =>
    h('th', { scope: 'col' }, name),
  );
  return h(
    'div',
    { class: 'scroll', role: 'region', 'aria-label': 'attempts', tabindex: 0 },
    h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...attempts.map(attemptRow))),
  );
}

/** @param {Attempt} attempt */
function attemptRow(attempt) {
  const { n, at, ms, detail, wait_ms: waitMs, reason, reply } = attempt;
  const then = waitMs === undefined ? because(reason) : `${because(reason)}, ${duration(waitMs)}`;
  const cell = h(
    'td',
    {},
    outcomeOf(attempt),
    detail !== undefined && h('span', { class: 'quiet' }, ` ${detail}`),
  );
  if (reply !== undefined && reply !== '') cell.append(' ', hidden(reply));
  return h(
    'tr',
    {},
    h('td', {}, n),
    h('td', {}, moment(at)),
    h('td', {}, duration(ms)),
    cell,
    h('td', {}, then),
  );
}

/** A reply can contain confidential data, so it is folded. @param {string} text */
function hidden(text) {
  return h('details', {}, h('summary', {}, 'show the reply'), h('pre', {}, text));
}
