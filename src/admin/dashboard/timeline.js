/* The attempts of a request on a time axis: bars are attempts, gaps are waits with their reason. Pure. */

import { because, duration } from './words.js';

/** @import { Attempt, Monitor } from './types.d.ts' */

/**
 * @typedef {object} Segment
 * @property {'attempt' | 'running' | 'wait' | 'planned'} kind `planned`: a future attempt.
 * @property {'good' | 'bad' | 'none'} tone
 * @property {number} from Milliseconds since 1970.
 * @property {number} to
 * @property {string} label
 * @property {string} title
 */

/** @typedef {Segment & { readonly x: number, readonly width: number }} Placed In percent of the whole. */

/** Limits the shown future, because plans grow exponentially and would hide the past. */
const FUTURE_SHARE = 1.5;

/**
 * The segments in order, without overlap, from the acceptance on.
 * @param {Monitor} monitor
 * @param {readonly Attempt[]} attempts
 * @param {number} now
 * @returns {Segment[]}
 */
export function segments(monitor, attempts, now) {
  const created = Date.parse(monitor.created_at);
  /** @type {Segment[]} */
  const made = [];
  let at = created;
  let reason = '';
  for (const attempt of attempts) {
    const from = Math.max(at, Date.parse(attempt.at));
    if (from > at) made.push(wait(at, from, reason));
    at = from + attempt.ms;
    made.push(bar(attempt, from, at));
    reason = because(attempt.reason);
  }
  if (monitor.status === 'running') made.push(...underWay({ at, now, attempts, reason }));
  return [...made, ...ahead(monitor, at, now)];
}

/** @param {{ at: number, now: number, attempts: readonly Attempt[], reason: string }} running @returns {Segment[]} */
function underWay({ at, now, attempts, reason }) {
  const start = Math.min(now, at + (attempts.at(-1)?.wait_ms ?? 0));
  const waits = start > at ? [wait(at, start, reason)] : [];
  const n = (attempts.at(-1)?.n ?? 0) + 1;
  const to = Math.max(now, start);
  return [
    ...waits,
    { kind: 'running', tone: 'none', from: start, to, label: '', title: `attempt ${n} is in progress` },
  ];
}

/**
 * @param {Monitor} monitor
 * @param {number} since
 * @param {number} now
 * @returns {Segment[]}
 */
function ahead(monitor, since, now) {
  const [first, ...rest] = monitor.plan.map((moment) => Date.parse(moment));
  const next = monitor.next === undefined ? first : Date.parse(monitor.next.at);
  if (monitor.done || next === undefined) return [];
  const why = because(monitor.next?.reason) || 'due';
  // An overdue attempt begins now at the earliest.
  const soonest = Math.max(next, now, since);
  const created = Date.parse(monitor.created_at);
  const horizon = soonest + Math.max(1_000, soonest - created) * FUTURE_SHARE;
  const planned = first === undefined ? [] : rest.filter((moment) => moment > soonest && moment <= horizon);
  /** @type {Segment[]} */
  const found = soonest > since ? [wait(since, soonest, why)] : [];
  found.push(plan(soonest));
  let at = soonest;
  for (const moment of planned) {
    found.push({ ...wait(at, moment, 'planned'), tone: 'good' }, plan(moment));
    at = moment;
  }
  return found;
}

/** @param {number} at @returns {Segment} */
const plan = (at) => ({
  kind: 'planned',
  tone: 'none',
  from: at,
  to: at,
  label: '',
  title: 'planned attempt',
});

/**
 * @param {number} from
 * @param {number} to
 * @param {string} why
 * @returns {Segment}
 */
function wait(from, to, why) {
  const label = why === '' ? 'accepted' : why;
  return { kind: 'wait', tone: 'none', from, to, label, title: `${duration(to - from)}: ${label}` };
}

/**
 * @param {Attempt} attempt
 * @param {number} from
 * @param {number} to
 * @returns {Segment}
 */
function bar(attempt, from, to) {
  const outcome = outcomeOf(attempt);
  const good = attempt.status !== undefined && attempt.status < 400 && attempt.error === undefined;
  const title = `attempt ${attempt.n}: ${outcome} after ${duration(attempt.ms)}`;
  return { kind: 'attempt', tone: good ? 'good' : 'bad', from, to, label: outcome, title };
}

/** @param {Pick<Attempt, 'status' | 'error' | 'reclaimed'>} attempt */
export function outcomeOf({ status, error, reclaimed }) {
  if (error !== undefined) return status === undefined ? error : `${status}, ${error}`;
  if (status !== undefined) return String(status);
  return reclaimed ? 'lost in a restart' : 'no reply';
}

/** Minimum width of each kind in percent, so that it stays visible next to long waits. */
const LEAST = { attempt: 1.6, running: 2.5, wait: 0.8, planned: 1.6 };

/** Maximum sum of the minimum widths in percent. */
const LEAST_TOGETHER = 60;

/**
 * Places the segments to scale, with a minimum width.
 * @param {readonly Segment[]} all
 * @returns {Placed[]}
 */
export function placed(all) {
  const least = all.reduce((sum, { kind }) => sum + LEAST[kind], 0);
  const shrink = Math.min(1, LEAST_TOGETHER / Math.max(1, least));
  const span = all.reduce((sum, { from, to }) => sum + (to - from), 0);
  const free = 100 - least * shrink;
  let x = 0;
  return all.map((segment) => {
    const share = span === 0 ? 1 / all.length : (segment.to - segment.from) / span;
    const width = LEAST[segment.kind] * shrink + share * free;
    const here = { ...segment, x, width };
    x += width;
    return here;
  });
}

/**
 * The position of `now` in percent. Undefined before and after the timeline.
 * @param {readonly Placed[]} all
 * @param {number} now
 */
export function position(all, now) {
  const here = all.find(({ from, to }) => from <= now && now < to);
  return here && here.x + (here.width * (now - here.from)) / (here.to - here.from);
}
