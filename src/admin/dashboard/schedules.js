/* The schedules: last run, next run, run now. */

import { changeSchedule } from './changes.js';
import { button, byId, facts, follows, h, pill, renderList } from './dom.js';

/** @import { Child } from './dom.js' */
/** @import { Schedule, ScheduleRun } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/** @param {Page} page */
export function showSchedules(page) {
  const { schedules = [] } = page;
  byId('schedules-part').hidden = schedules.length === 0;
  renderList(byId('schedules'), schedules, {
    key: ({ name }) => name,
    content: (one) => one,
    make: (one) => card(page, one),
  });
}

/**
 * @param {Page} page
 * @param {Schedule} schedule
 */
function card(page, schedule) {
  const { name, cron, timezone, route, method, paused, next, last, last_success: good } = schedule;
  const act = (/** @type {'run' | 'pause' | 'resume'} */ what) => {
    const change = changeSchedule(what, name, page.prefix);
    return button(change.verb, () => page.change([change]), { class: 'small' });
  };
  const title = h('h3', {}, name);
  const known = facts([
    ['when', h('code', {}, cron), ` ${timezone}`],
    ['what', `${method} on ${route}`],
    ['next', paused ? 'paused' : next[0] !== undefined && follows(next[0], 'countdown')],
    ['last', ...runOf(page, last)],
    ['last success', ...(good?.id === last?.id ? [] : runOf(page, good))],
  ]);
  return h(
    'li',
    { class: 'card' },
    h(
      'div',
      { class: 'head' },
      title,
      paused && pill('paused'),
      act(paused ? 'resume' : 'pause'),
      act('run'),
    ),
    known,
  );
}

/**
 * @param {Page} page
 * @param {ScheduleRun | undefined} run
 * @returns {Child[]}
 */
function runOf(page, run) {
  if (run === undefined) return [];
  const open = button('open', () => page.open(run.id), { class: 'link', 'data-focus': `open ${run.id}` });
  return [follows(run.finished_at ?? run.created_at, 'ago'), ' ', pill(run.status), ' ', open];
}
