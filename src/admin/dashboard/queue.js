/* The durable requests that match the filters: one line each, and the details of the open one. */

import { detailContent, detailOf } from './detail.js';
import { byId, follows, h, pill, renderList } from './dom.js';
import { timelineOf } from './timeline-view.js';
import { because } from './words.js';

/** @import { Monitor } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/**
 * @param {Page} page
 */
export function showQueue(page) {
  const { list, filters } = page;
  const opened = filters.id !== '' && page.opened?.id === filters.id ? page.opened : undefined;
  const rows = list.requests;
  const listed = rows.some(({ id }) => id === filters.id);
  const items = rows.map((monitor) => {
    const open = monitor.id === filters.id;
    return { monitor: open && opened !== undefined ? opened : monitor, open };
  });
  if (opened !== undefined && !listed) items.unshift({ monitor: opened, open: true });
  renderList(byId('queue'), items, {
    key: ({ monitor }) => monitor.id,
    content: ({ monitor, open }) => [
      monitor,
      page.attemptsOf(monitor),
      page.selected.has(monitor.id),
      open && detailContent(page, monitor),
    ],
    make: ({ monitor, open }) => row(page, monitor, open),
  });
  byId('queue-empty').hidden = items.length > 0;
  byId('queue-frozen').hidden = !page.frozen;
}

/**
 * @param {Page} page
 * @param {Monitor} monitor
 * @param {boolean} open
 */
function row(page, monitor, open) {
  const { id, request, route, labels, key } = monitor;
  const item = h('li', { class: open ? 'request open' : 'request', 'data-id': id });
  const select = h('input', {
    type: 'checkbox',
    'aria-label': `select ${request.method} ${request.path}`,
    'data-focus': 'select',
    onchange: () => page.select(id, select.checked),
  });
  select.checked = page.selected.has(id);
  const name = h(
    'button',
    {
      type: 'button',
      class: 'name',
      'aria-expanded': String(open),
      'data-focus': 'name',
      onclick: () => page.open(open ? '' : id),
    },
    h('b', {}, request.method),
    ` ${request.path}`,
  );
  const tags = [
    ...labels.map((label) => h('span', { class: 'tag' }, label)),
    ...(key === undefined ? [] : [h('span', { class: 'tag key' }, `key ${key}`)]),
  ];
  item.append(
    select,
    h('div', { class: 'state' }, pill(monitor.status), madeOf(monitor)),
    h('div', { class: 'when' }, ...when(monitor)),
    h(
      'div',
      { class: 'what' },
      name,
      h('div', { class: 'tags' }, h('span', { class: 'route' }, route), ...tags),
    ),
    h('div', { class: 'time' }, timelineOf(monitor, page.attemptsOf(monitor), page.now())),
  );
  if (open) item.append(detailOf(page, monitor));
  page.watch(item);
  return item;
}

/** @param {Monitor} monitor */
function madeOf({ attempts: { made, max } }) {
  return h(
    'span',
    { class: 'made', title: 'attempts made / maximum' },
    max === undefined ? String(made) : `${made}/${max}`,
  );
}

/** @param {Monitor} monitor */
function when(monitor) {
  const { status, next, finished_at: finished, error } = monitor;
  if (status === 'running') return [h('span', {}, 'attempt'), h('span', { class: 'reason' }, 'in progress')];
  if (next !== undefined)
    return [follows(next.at, 'countdown'), h('span', { class: 'reason' }, because(next.reason) || 'due')];
  return [
    follows(finished, 'ago'),
    h('span', { class: 'reason', title: error?.title }, because(error?.code) || endedWith(monitor)),
  ];
}

/** @param {Monitor} monitor */
function endedWith({ response, erased }) {
  if (erased) return 'erased';
  return response === undefined || response === null ? '' : `with ${response.status}`;
}
