/* The attempts of one call on a time axis, to scale. Attempts that overlap (hedges) are in lanes of their own. Pure. */

import { duration } from './words.js';

/** @import { RecentCall } from './types.d.ts' */
/** @typedef {RecentCall['attempts'][number]} Attempt */

/**
 * @typedef {object} Piece
 * @property {'attempt' | 'wait' | 'quota' | 'body'} kind
 * @property {'good' | 'bad' | 'none'} tone
 * @property {number} lane
 * @property {number} from Milliseconds since the start of the call.
 * @property {number} to
 * @property {string} title
 */

/** @typedef {Piece & { readonly x: number, readonly width: number }} Bar In percent of the whole. */

/** A shorter bar could not be seen. */
const LEAST = 0.8;

/**
 * @param {RecentCall} call
 * @returns {{ lanes: number, bars: Bar[] }}
 */
export function callBars(call) {
  const total = Math.max(1, call.ms, ...call.attempts.map(({ at_ms: at, ms = 0 }) => at + ms));
  /** @type {Piece[]} */
  const pieces = [];
  /** End of the last attempt of each lane. @type {number[]} */
  const ends = [];
  for (const attempt of call.attempts) {
    const free = ends.findIndex((end) => end <= attempt.at_ms);
    const lane = free < 0 ? ends.length : free;
    const to = attempt.at_ms + (attempt.ms ?? total - attempt.at_ms);
    pieces.push(...waitsOf(attempt, lane, ends[lane] ?? 0), attemptOf(attempt, lane, to));
    ends[lane] = to;
  }
  pieces.push(...rest(call, Math.max(0, ...ends), total));
  const bars = pieces.map((piece) => {
    const width = Math.max(LEAST, (100 * (piece.to - piece.from)) / total);
    return { ...piece, x: Math.min(100 - width, (100 * piece.from) / total), width };
  });
  return { lanes: Math.max(1, ends.length), bars };
}

/**
 * The waits before an attempt: backoff, then quota.
 * @param {Attempt} attempt
 * @param {number} lane
 * @param {number} earliest
 * @returns {Piece[]}
 */
function waitsOf({ at_ms: at, wait_ms: backoff = 0, quota_ms: quota = 0, reason }, lane, earliest) {
  const sent = Math.max(earliest, at - quota);
  const wait = { tone: /** @type {const} */ ('none'), lane };
  return [
    {
      ...wait,
      kind: /** @type {const} */ ('wait'),
      from: Math.max(earliest, sent - backoff),
      to: sent,
      title: `${duration(backoff)}: backoff after ${reason}`,
    },
    {
      ...wait,
      kind: /** @type {const} */ ('quota'),
      from: sent,
      to: at,
      title: `${duration(quota)}: waited for the quota`,
    },
  ].filter(({ from, to }) => to - from >= 1);
}

/** @param {Attempt} attempt @param {number} lane @param {number} to @returns {Piece} */
function attemptOf(attempt, lane, to) {
  const { n, at_ms: from, ms, upstream, detail } = attempt;
  const parts = [
    `attempt ${n}`,
    ...(upstream === undefined ? [] : [` at ${upstream}`]),
    `: ${ms === undefined ? 'not ended' : `${resultOf(attempt)} after ${duration(ms)}`}`,
    ...(detail === undefined ? [] : [`, ${detail}`]),
  ];
  return { kind: 'attempt', tone: isGood(attempt) ? 'good' : 'bad', lane, from, to, title: parts.join('') };
}

/** @param {Attempt} attempt */
export function resultOf({ status, grpc, error }) {
  return error ?? grpc ?? (status === undefined ? 'no reply' : String(status));
}

/** @param {Attempt | undefined} attempt */
function isGood({ status = 0, grpc, error } = /** @type {Attempt} */ ({})) {
  return error === undefined && grpc === undefined && status >= 200 && status < 400;
}

/** From the last head to the end of the call. @param {RecentCall} call @param {number} from @param {number} total @returns {Piece[]} */
function rest({ ms, attempts }, from, total) {
  if (attempts.length === 0 || ms - from <= total / 100) return [];
  const body = attempts.at(-1)?.status !== undefined;
  const title = body
    ? `${duration(ms - from)}: the body`
    : `${duration(ms - from)}: waited, then the call ended`;
  return [{ kind: body ? 'body' : 'wait', tone: 'none', lane: 0, from, to: ms, title }];
}
