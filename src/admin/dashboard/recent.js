/* The last calls that were retried, rejected, failed or slow. */

import { byId, follows, h, renderList } from './dom.js';

/** @import { RecentCall } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/** @param {Page} page */
export function showRecent(page) {
  const calls = page.calls.map(({ latest }) => latest);
  renderList(byId('recent'), calls.slice(0, page.allRecent ? calls.length : 15), {
    key: ({ id, at }) => `${id} ${at}`,
    content: (call) => call,
    make: row,
  });
  byId('recent-empty').hidden = calls.length > 0;
  byId('recent-more').hidden = page.allRecent || calls.length <= 15;
}

/** @param {RecentCall} call */
function row({ id, at, outcome, message }) {
  return h(
    'li',
    { class: 'call', title: `request id ${id}` },
    follows(at, 'ago'),
    h('span', { class: `pill is-${outcome ?? 'ok'}` }, (outcome ?? 'ok').replaceAll('_', ' ')),
    h('span', { class: 'message' }, message),
  );
}
