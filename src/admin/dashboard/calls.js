/* The notable calls, in groups of calls that ended in the same way. A call opens into its attempts. */

import { ALL_CALLS, OUTCOMES } from './address.js';
import { callBars, resultOf } from './call-timeline.js';
import { button, byId, facts, follows, h, renderList, svg } from './dom.js';
import { count, duration, size } from './words.js';

/** @import { Child } from './dom.js' */
/** @import { CallGroup, RecentCall } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

const LANE = 16;

/** Calls of an open group that are shown at first. */
const FIRST = 20;

/** Listens to the fields that are part of index.html. @param {Page} page */
export function listenToCalls(page) {
  const form = byId('call-filters');
  const value = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id)).value.trim();
  const read = () =>
    page.go({
      calls: {
        upstream: value('call-upstream'),
        outcome: value('call-outcome'),
        text: value('call-text'),
        call: '',
      },
    });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    read();
  });
  form.addEventListener('change', read);
  byId('call-clear').addEventListener('click', () => page.go({ calls: ALL_CALLS }));
}

/**
 * The query of `/api/calls`.
 * @param {Page} page
 */
export function callsQuery(page) {
  const { upstream, outcome, text, call } = page.address.calls;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ upstream, outcome, text, id: call }))
    if (value !== '') query.set(name, value);
  for (const key of page.openGroups) query.append('open', key);
  return query.toString();
}

/** @param {Page} page */
export function showCalls(page) {
  const { calls, address } = page;
  const names = (page.state?.upstreams ?? []).map(({ name }) => name);
  choose('call-upstream', 'every upstream', names, address.calls.upstream);
  choose('call-outcome', 'every outcome', OUTCOMES, address.calls.outcome);
  const text = /** @type {HTMLInputElement} */ (byId('call-text'));
  const searched = address.calls.call || address.calls.text;
  if (document.activeElement !== text && text.value !== searched) text.value = searched;
  renderList(byId('calls'), calls, {
    key: ({ key }) => key,
    content: (group) => [
      group,
      [...page.openCalls].filter((id) => group.calls?.some((call) => keyOf(call) === id)),
      page.allOf === group.key,
      page.closedGroups.has(group.key),
    ],
    make: (group) => groupOf(page, group),
  });
  const filtered = Object.values(address.calls).some((value) => value !== '');
  const none = byId('calls-empty');
  none.hidden = calls.length > 0;
  const why = filtered
    ? 'No call in memory matches. Calls that went well at the first attempt are not in memory; the log has them with log.requests: all.'
    : 'No call was retried, rejected, slow or failed.';
  if (none.textContent !== why) none.textContent = why;
}

/**
 * @param {string} id
 * @param {string} all
 * @param {readonly string[]} values
 * @param {string} chosen
 */
function choose(id, all, values, chosen) {
  const select = /** @type {HTMLSelectElement} */ (byId(id));
  const known = chosen === '' || values.includes(chosen) ? values : [...values, chosen];
  const options = [['', all], ...known.map((value) => [value, value.replaceAll('_', ' ')])];
  if (select.dataset['known'] !== JSON.stringify(known)) {
    select.dataset['known'] = JSON.stringify(known);
    select.replaceChildren(...options.map(([value, label]) => h('option', { value }, label)));
  }
  if (document.activeElement !== select) select.value = chosen;
}

/** @param {RecentCall} call */
const keyOf = ({ id, at }) => `${id} ${at}`;

/**
 * @param {Page} page
 * @param {CallGroup} group
 */
function groupOf(page, group) {
  const { key, count: number, first_at: first, latest, calls } = group;
  const open = calls !== undefined && !page.closedGroups.has(key);
  const outcome = latest.outcome ?? 'ok';
  const item = h('li', { class: open ? 'group open' : 'group' });
  const line = h(
    'button',
    {
      type: 'button',
      class: 'call',
      'aria-expanded': String(open),
      'data-focus': 'group',
      onclick: () => page.openGroup(key),
    },
    follows(latest.at, 'ago'),
    h('span', { class: `pill is-${outcome}` }, outcome.replaceAll('_', ' ')),
    h('span', { class: 'times' }, number > 1 && `\u00D7 ${count(number)}`),
    h('span', { class: 'message' }, latest.message),
  );
  item.append(line);
  if (!open) return item;
  const shown = page.allOf === key ? calls : calls.slice(0, FIRST);
  const only = calls.length === 1;
  item.append(
    h(
      'div',
      { class: 'members' },
      number > 1 &&
        h(
          'p',
          { class: 'quiet' },
          `${count(number)} equal calls since `,
          follows(first, 'ago'),
          calls.length < number && `, the latest ${calls.length} are in memory`,
        ),
      ...shown.map((call) => memberOf(page, call, only || page.openCalls.has(keyOf(call)))),
      calls.length > shown.length &&
        button(`show all ${calls.length}`, () => page.showAllOf(key), { class: 'link' }),
    ),
  );
  return item;
}

/**
 * @param {Page} page
 * @param {RecentCall} call
 * @param {boolean} open
 */
function memberOf(page, call, open) {
  const toggle = h(
    'button',
    {
      type: 'button',
      class: 'name',
      'aria-expanded': String(open),
      'data-focus': keyOf(call),
      onclick: () => page.openCall(keyOf(call)),
    },
    h('span', {}, new Date(call.at).toLocaleTimeString()),
    ' ',
    h('b', {}, call.method),
    ` ${call.path} `,
    h('code', {}, call.id),
  );
  return h(
    'div',
    { class: 'member' },
    toggle,
    call.attempts.length > 0 && timelineOf(call),
    open && detailOf(page, call),
  );
}

/** @param {RecentCall} call */
function timelineOf(call) {
  const { bars, lanes } = callBars(call);
  const label = bars.map(({ title }) => title).join('; ');
  const line = svg('svg', { class: 'timeline', role: 'img', 'aria-label': label, height: lanes * LANE });
  line.append(
    ...bars.map(({ kind, tone, lane, x, width, title }) => {
      const flat = kind === 'wait' || kind === 'quota';
      return svg(
        'rect',
        {
          class: kind === 'attempt' ? `attempt ${tone}` : `bar ${kind}`,
          x: `${x}%`,
          width: `${width}%`,
          y: lane * LANE + (flat ? LANE / 2 - 2 : 1),
          height: flat ? 3 : LANE - 3,
          rx: flat ? 0 : 2,
        },
        svg('title', {}, title),
      );
    }),
  );
  return h('div', { class: 'call-time' }, line, h('span', { class: 'total' }, duration(call.ms)));
}

/**
 * @param {Page} page
 * @param {RecentCall} call
 */
function detailOf(page, call) {
  const {
    attempts,
    id,
    trace_id: trace,
    client,
    upstream,
    route,
    status,
    error,
    origin,
    ms,
    head_ms: head,
    at,
  } = call;
  return h(
    'div',
    { class: 'detail' },
    facts([
      ['Sentence', call.message],
      [
        'Id',
        h('code', {}, id),
        ' ',
        button('link to this call', () => page.go({ calls: { ...ALL_CALLS, call: id } }), { class: 'link' }),
      ],
      ['Trace', trace && h('code', {}, trace)],
      ['Client', client],
      ['Route', `${upstream ?? 'none'}/${route ?? 'none'}`],
      ['Ended', new Date(at).toLocaleString()],
      [
        'Reply',
        status === undefined ? 'none' : `${status}, from ${origin === 'proxy' ? 'this proxy' : origin}`,
      ],
      ['Error', error],
      ['Time', `${duration(ms)}, to the head ${duration(head)}`],
      ['Bytes', `${size(call.bytes_in)} received, ${size(call.bytes_out)} sent`],
      ...notesOf(call),
    ]),
    attempts.length === 0 ? h('p', { class: 'quiet' }, 'No attempt was sent.') : attemptTable(attempts),
  );
}

/** Fields that have a line of their own, or are in the sentence. */
const SHOWN = new Set(
  'key at message id trace_id client method path upstream route outcome status origin error ms head_ms bytes_in bytes_out attempts'.split(
    ' ',
  ),
);

/** @param {RecentCall} call @returns {[string, ...Child[]][]} */
function notesOf(call) {
  return Object.entries(call)
    .filter(([name]) => !SHOWN.has(name))
    .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]);
}

/** @param {RecentCall['attempts']} attempts */
function attemptTable(attempts) {
  const head = ['attempt', 'after', 'waited', 'duration', 'result'].map((name) =>
    h('th', { scope: 'col' }, name),
  );
  const rows = attempts.map((attempt) => {
    const { n, at_ms: at, ms, detail, upstream } = attempt;
    const cells = [
      [n, upstream !== undefined && ` (${upstream})`],
      [duration(at)],
      [waitsOf(attempt)],
      [ms === undefined ? 'not ended' : duration(ms)],
      [resultOf(attempt), detail !== undefined && h('span', { class: 'quiet' }, ` ${detail}`)],
    ];
    return h('tr', {}, ...cells.map((cell) => h('td', {}, ...cell)));
  });
  return h(
    'div',
    { class: 'scroll', role: 'region', 'aria-label': 'attempts', tabindex: 0 },
    h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)),
  );
}

/** @param {RecentCall['attempts'][number]} attempt */
function waitsOf({ wait_ms: wait, quota_ms: quota, reason, hedged_after_ms: hedged }) {
  return [
    ...(wait === undefined ? [] : [`${duration(wait)} after ${reason}`]),
    ...(quota === undefined ? [] : [`${duration(quota)} for the quota`]),
    ...(hedged === undefined ? [] : [`hedge after ${duration(hedged)}`]),
  ].join(', ');
}
