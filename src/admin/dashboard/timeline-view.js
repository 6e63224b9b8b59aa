import { h, svg } from './dom.js';
import { placed, position, segments } from './timeline.js';
import { duration } from './words.js';

/** @import { Attempt, Monitor } from './types.d.ts' */
/** @import { Placed } from './timeline.js' */

const HEIGHT = 22;

/** The drawn segments, for moving the mark of the current time. @type {WeakMap<Element, readonly Placed[]>} */
const DRAWN = new WeakMap();

/**
 * One line of bars, gaps and planned attempts, each with a tooltip.
 * @param {Monitor} monitor
 * @param {readonly Attempt[]} attempts
 * @param {number} now
 */
export function timelineOf(monitor, attempts, now) {
  const all = placed(segments(monitor, attempts, now));
  const planned = all.at(-1)?.kind === 'planned' ? ', and planned ones' : '';
  const label = `${attempts.length} attempts${planned}`;
  const marker = svg('line', { class: 'now', y1: 0, y2: HEIGHT });
  const line = svg('svg', { class: 'timeline', role: 'img', 'aria-label': label, height: HEIGHT });
  line.append(...all.map(shape), marker);
  DRAWN.set(line, all);
  moveNow(line, now);
  return line;
}

/**
 * @param {Element} line
 * @param {number} now
 */
export function moveNow(line, now) {
  const here = position(DRAWN.get(line) ?? [], now);
  const marker = line.lastElementChild;
  marker?.setAttribute('visibility', here === undefined ? 'hidden' : 'visible');
  for (const end of here === undefined ? [] : ['x1', 'x2']) marker?.setAttribute(end, `${here}%`);
}

/** @param {Placed} segment */
function shape({ kind, tone, x, width, title }) {
  const inner = svg('title', {}, title);
  if (kind === 'wait') {
    const y = HEIGHT / 2;
    const target = svg('rect', { class: 'target', x: `${x}%`, width: `${width}%`, y: 0, height: HEIGHT });
    const line = svg('line', {
      class: tone === 'good' ? 'gap later' : 'gap',
      x1: `${x}%`,
      x2: `${x + width}%`,
      y1: y,
      y2: y,
    });
    return svg('g', {}, line, target, inner);
  }
  return svg(
    'rect',
    { class: `${kind} ${tone}`, x: `${x}%`, width: `${width}%`, y: 2, height: HEIGHT - 4, rx: 2 },
    inner,
  );
}

/**
 * A larger timeline with labels in wide gaps.
 * @param {Monitor} monitor
 * @param {readonly Attempt[]} attempts
 * @param {number} now
 */
export function labelledTimeline(monitor, attempts, now) {
  const all = placed(segments(monitor, attempts, now));
  const labels = all
    .filter(({ kind, width }) => kind === 'wait' && width > 7)
    .map(({ x, width, label, from, to }) => {
      const box = h('span', { class: 'gap-label' }, `${label} ${duration(to - from)}`);
      // Styles set through the DOM are allowed by the policy, inline styles are not.
      box.style.left = `${x}%`;
      box.style.width = `${width}%`;
      return box;
    });
  return h(
    'div',
    { class: 'labelled' },
    h('div', { class: 'gap-labels' }, ...labels),
    timelineOf(monitor, attempts, now),
    scale(all),
  );
}

/** @param {readonly Placed[]} all */
function scale(all) {
  const [first, last] = [all[0], all.at(-1)];
  if (first === undefined || last === undefined) return h('div');
  const time = (/** @type {number} */ at) => new Date(at).toLocaleTimeString();
  return h(
    'div',
    { class: 'scale' },
    h('span', {}, time(first.from)),
    h('span', {}, duration(last.to - first.from)),
    h('span', {}, time(last.to)),
  );
}
