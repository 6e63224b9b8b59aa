/* From the counts of the intervals to the lines of the charts. Pure. */

import { percent, shortDuration } from './words.js';

/** @import { Traffic } from './types.d.ts' */

/** @typedef {readonly (number | null)[]} Values */

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color Name of a colour of the style sheet.
 * @property {Values} values Shown as numbers.
 * @property {Values} [drawn] With the lines below it; default: `values`.
 * @property {boolean} [fill]
 */

/**
 * @typedef {object} Chart
 * @property {string} id
 * @property {string} title
 * @property {readonly Line[]} lines The first is drawn first.
 * @property {(value: number) => string} format
 * @property {number} [max] Fixed top of the axis.
 */

/** Colours of failed attempts and refusals. */
const KINDS = /** @type {const} */ ([
  ['attempts', '5xx', '5xx', 'bad'],
  ['attempts', '429', '429', 'wait'],
  ['attempts', 'timeout', 'timeout', 'run'],
  ['attempts', 'connect', 'no connection', 'violet'],
  ['attempts', 'broken', 'broken reply', 'pink'],
  ['refusals', 'breaker', 'refused: breaker', 'quiet'],
  ['refusals', 'quota', 'refused: quota', 'olive'],
  ['refusals', 'concurrency', 'refused: concurrency', 'teal'],
  ['refusals', 'other', 'refused: other', 'line'],
]);

/**
 * The start of each interval, in seconds since 1970.
 * @param {Traffic} traffic
 */
export function timesOf({ from, step_ms: step, breaker }) {
  const start = Date.parse(from);
  return breaker.map((_, interval) => (start + interval * step) / 1_000);
}

/**
 * The last `intervals` intervals.
 * @param {Traffic} traffic
 * @param {number} intervals
 * @returns {Traffic}
 */
export function lastIntervals(traffic, intervals) {
  const first = traffic.breaker.length - intervals;
  if (first <= 0) return traffic;
  const cut = (/** @type {unknown} */ value) =>
    Array.isArray(value) && value.length === traffic.breaker.length ? value.slice(first) : value;
  const each = (/** @type {object} */ values) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, cut(value)]));
  const { calls, attempts, refusals, events, ...rest } = traffic;
  return {
    .../** @type {Traffic} */ (each(rest)),
    calls: each(calls),
    attempts: each(attempts),
    refusals: each(refusals),
    events,
    from: new Date(Date.parse(traffic.from) + first * traffic.step_ms).toISOString(),
  };
}

/**
 * @param {Traffic} traffic
 * @param {number} started When the proxy started, in ms since 1970. Before that nothing is known.
 * @returns {Chart[]}
 */
export function chartsOf(traffic, started) {
  const first = timesOf(traffic).findIndex((at) => at * 1_000 + traffic.step_ms > started);
  return allCharts(traffic).map((chart) => ({
    ...chart,
    lines: chart.lines.map((line) => knownFrom(line, first)),
  }));
}

/**
 * @param {Line} line
 * @param {number} first
 * @returns {Line}
 */
function knownFrom(line, first) {
  const known = (/** @type {Values} */ values) =>
    values.map((value, interval) => (interval < first ? null : value));
  return { ...line, values: known(line.values), ...(line.drawn && { drawn: known(line.drawn) }) };
}

/** @param {Traffic} traffic @returns {Chart[]} */
function allCharts(traffic) {
  return [calls(traffic), success(traffic), latency(traffic), amplification(traffic), errors(traffic)].concat(
    quota(traffic),
  );
}

/** @param {Traffic} traffic @param {readonly (Values | undefined)[]} all */
function sum({ breaker }, ...all) {
  return breaker.map((_, interval) => all.reduce((total, values) => total + (values?.[interval] ?? 0), 0));
}

/** @param {Traffic} traffic @param {readonly number[]} counts */
function perSecond({ step_ms: step }, counts) {
  // The last interval is not over. Its rate would be too low, so the charts end before it.
  return counts.map((count, interval) => (interval === counts.length - 1 ? null : (count * 1_000) / step));
}

/** @param {Values} part @param {Values} whole */
function share(part, whole) {
  return part.map((value, interval) =>
    (whole[interval] ?? 0) > 0 ? (value ?? 0) / (whole[interval] ?? 1) : null,
  );
}

/**
 * Lines on top of each other, the topmost first, so that the fill of each next one covers the one before.
 * @param {readonly Line[]} parts From the bottom up.
 * @returns {Line[]}
 */
function stacked(parts) {
  /** @type {Values} */
  let below = [];
  return parts
    .map((line) => {
      const drawn = line.values.map((value, interval) =>
        value === null ? null : value + (below[interval] ?? 0),
      );
      below = drawn;
      return { ...line, drawn, fill: true };
    })
    .reverse();
}

/** @param {Line} line */
const isShown = ({ values }) => values.some((value) => value !== null && value > 0);

/** @param {Traffic} traffic @returns {Chart} */
function calls(traffic) {
  const { calls: by } = traffic;
  const line = (
    /** @type {string} */ label,
    /** @type {string} */ color,
    /** @type {number[]} */ counts,
  ) => ({
    label,
    color,
    values: perSecond(traffic, counts),
  });
  const good = line('ok', 'good', sum(traffic, by.ok, by.fallback));
  const lines = [
    line('rescued', 'wait', sum(traffic, by.rescued)),
    line('failed', 'bad', sum(traffic, by.failed, by.upstream_error, by.bug)),
    line('refused', 'quiet', sum(traffic, by.rejected)),
    line('client left', 'violet', sum(traffic, by.client_gone)),
  ].filter(isShown);
  return { id: 'calls', title: 'Calls per second', lines: stacked([good, ...lines]), format: rate };
}

/** @param {Traffic} traffic @returns {Chart} */
function success(traffic) {
  const { calls: by, attempts } = traffic;
  const decided = sum(
    traffic,
    by.ok,
    by.rescued,
    by.fallback,
    by.failed,
    by.upstream_error,
    by.bug,
    by.rejected,
  );
  const { ok, '4xx': wrong, ...others } = attempts;
  const { cut: _, ...failing } = others;
  const answered = sum(traffic, ok, wrong);
  const ended = sum(traffic, answered, ...Object.values(failing));
  return {
    id: 'success',
    title: 'Success',
    lines: [
      { label: 'attempts', color: 'quiet', values: share(answered, ended) },
      { label: 'calls', color: 'good', values: share(sum(traffic, by.ok, by.rescued, by.fallback), decided) },
    ],
    format: percent,
    max: 1,
  };
}

/** @param {Traffic} traffic @returns {Chart} */
function latency({ p50_ms, p95_ms, p99_ms }) {
  return {
    id: 'latency',
    title: 'Time to the head',
    lines: [
      { label: 'p99', color: 'bad', values: p99_ms },
      { label: 'p95', color: 'wait', values: p95_ms },
      { label: 'p50', color: 'run', values: p50_ms },
    ],
    format: shortDuration,
  };
}

/** @param {Traffic} traffic @returns {Chart} */
function amplification(traffic) {
  const made = sum(traffic, ...Object.values(traffic.attempts));
  const ended = sum(traffic, ...Object.values(traffic.calls));
  return {
    id: 'amplification',
    title: 'Attempts per call',
    lines: [{ label: 'attempts per call', color: 'run', values: share(made, ended), fill: true }],
    format: (value) => (Math.round(value * 100) / 100).toString(),
  };
}

/** @param {Traffic} traffic @returns {Chart} */
function errors(traffic) {
  const lines = KINDS.map(([source, name, label, color]) => {
    /** @type {Values | undefined} */
    const counts = /** @type {Record<string, Values>} */ (traffic[source])[name];
    return { label, color, values: perSecond(traffic, sum(traffic, counts)) };
  }).filter(isShown);
  return {
    id: 'errors',
    title: 'Failed attempts and refusals per second',
    lines: stacked(lines),
    format: rate,
  };
}

/** @param {Traffic} traffic @returns {Chart[]} */
function quota({ quota_left: left, quota_waiting: waiting }) {
  if (left === undefined) return [];
  const lines = [{ label: 'left', color: 'teal', values: left, fill: true }];
  const most = Math.max(0, ...(waiting ?? []));
  const queue = most === 0 ? [] : [{ label: `up to ${most} calls waited`, color: 'wait', values: [] }];
  return [
    { id: 'quota', title: 'Scarcest quota, left', lines: [...lines, ...queue], format: percent, max: 1 },
  ];
}

/** @param {number} value */
function rate(value) {
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

/**
 * Stretches of intervals in which a breaker was not closed, or a cooldown was active.
 * @param {Traffic} traffic
 * @returns {{ kind: 'open' | 'half_open' | 'cooldown', from: number, to: number }[]} `from`, `to`: seconds since 1970.
 */
export function bandsOf(traffic) {
  const times = timesOf(traffic);
  const step = traffic.step_ms / 1_000;
  /** @param {readonly number[]} states @param {number} state @param {'open' | 'half_open' | 'cooldown'} kind */
  const stretches = (states, state, kind) => {
    /** @type {{ kind: typeof kind, from: number, to: number }[]} */
    const found = [];
    for (const [interval, at] of times.entries()) {
      if (states[interval] !== state) continue;
      const last = found.at(-1);
      if (last !== undefined && Math.abs(last.to - at) < step / 2) last.to = at + step;
      else found.push({ kind, from: at, to: at + step });
    }
    return found;
  };
  return [
    ...stretches(traffic.breaker, 2, 'open'),
    ...stretches(traffic.breaker, 1, 'half_open'),
    ...stretches(traffic.cooldown, 1, 'cooldown'),
  ];
}

/**
 * A chart in words, for those who do not see it.
 * @param {Chart} chart
 */
export function describe({ title, lines, format }) {
  const parts = lines.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${label}: no data`;
    const latest = known.at(-1) ?? 0;
    return `${label}: now ${format(latest)}, from ${format(Math.min(...known))} to ${format(Math.max(...known))}`;
  });
  return `${title}. ${parts.length === 0 ? 'none' : parts.join('; ')}`;
}
