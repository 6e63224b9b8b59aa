/* Everything that the page can set off, as calls of the HTTP interfaces. Pure. */

import { filterQuery } from './filters.js';
import { count } from './words.js';

/** @import { Change, Monitor, RouteRow } from './types.d.ts' */
/** @import { Filters } from './filters.js' */

/** @typedef {'retry' | 'cancel' | 'delete'} What */

/**
 * What may be done to a request as it stands.
 * @param {Pick<Monitor, 'status' | 'erased'>} monitor
 * @returns {What[]}
 */
export function possible({ status, erased }) {
  if (erased) return [];
  if (status === 'running') return ['cancel', 'delete'];
  return status === 'waiting' || status === 'queued' ? ['retry', 'cancel', 'delete'] : ['retry', 'delete'];
}

/**
 * @param {What} what
 * @param {Pick<Monitor, 'id' | 'status' | 'request'>} monitor
 * @param {string} prefix
 * @returns {Change}
 */
export function changeOne(what, { id, status, request }, prefix) {
  const self = `${prefix}/requests/${encodeURIComponent(id)}`;
  const name = `${request.method} ${request.path}`;
  if (what === 'delete')
    return {
      method: 'DELETE',
      path: self,
      verb: 'Delete',
      danger: true,
      says: `${name} is cancelled if it has not ended, and its bodies are erased. This cannot be undone.`,
    };
  if (what === 'cancel') {
    const cut =
      status === 'running' ? ' Its attempt is cut, and nobody knows whether the API has acted on it.' : '';
    return {
      method: 'POST',
      path: `${self}/cancel`,
      verb: 'Cancel',
      danger: true,
      says: `${name} ends here.${cut}`,
    };
  }
  const force = status === 'succeeded';
  return {
    method: 'POST',
    path: `${self}/retry${force ? '?force=true' : ''}`,
    verb: retryVerb(status),
    danger: force,
    says: retrySays(name, status),
  };
}

/** @param {string} status */
export function retryVerb(status) {
  return status === 'waiting' || status === 'queued' ? 'Run now' : 'Replay';
}

/**
 * @param {string} name
 * @param {string} status
 */
function retrySays(name, status) {
  if (status === 'succeeded') return `${name} has succeeded, and is sent once more all the same.`;
  if (retryVerb(status) === 'Replay')
    return `${name} starts over, with all its attempts, under the same id and key.`;
  return `${name} is sent now, instead of when it is due.`;
}

/** The most that one bulk call changes. */
const BULK = 10_000;

/**
 * All that match, by the server's own filter.
 * @param {'retry' | 'cancel'} what
 * @param {Filters} filters
 * @param {{ prefix: string, now: number, matches: number | undefined }} context
 * @returns {Change}
 */
export function changeAll(what, filters, { prefix, now, matches }) {
  const query = filterQuery(filters, now);
  query.set('limit', String(BULK));
  const which =
    matches === undefined
      ? 'Every request that matches the filter'
      : `${count(matches)} requests: all that match the filter, not only those listed. Each`;
  const ends =
    what === 'cancel'
      ? 'is cancelled; what runs or has ended is left alone'
      : 'is sent now or once more; what runs or has succeeded is left alone';
  return {
    method: 'POST',
    path: `${prefix}/requests/${what}?${query}`,
    verb: what === 'cancel' ? 'Cancel all that match' : 'Run all that match',
    danger: true,
    says: `${which} ${ends}.`,
  };
}

/**
 * @param {Pick<RouteRow, 'name' | 'paused'>} route
 * @param {string} prefix
 * @returns {Change}
 */
export function changeRoute({ name, paused }, prefix) {
  return {
    method: 'POST',
    path: `${prefix}/routes/${encodeURIComponent(name)}/${paused ? 'resume' : 'pause'}`,
    verb: paused ? 'Resume' : 'Pause',
    says: paused
      ? `What has become due on ${name} meanwhile is sent.`
      : `Nothing that is due on ${name} is sent until it is resumed. Requests are still accepted; calls that wait for their answer are not concerned.`,
  };
}

/** @type {Readonly<Record<string, string>>} */
const FORCE_SAYS = {
  open: 'refuses every call until you change it again',
  closed: 'lets every call through, however many fail, until you change it again',
  auto: 'decides by itself again',
};

/**
 * @param {string} upstream
 * @param {'open' | 'closed' | 'auto'} force
 * @returns {Change}
 */
export function changeBreaker(upstream, force) {
  return {
    method: 'POST',
    path: `/api/upstreams/${encodeURIComponent(upstream)}/breaker`,
    body: { force },
    verb: `Set to ${force}`,
    danger: force !== 'auto',
    says: `The circuit breaker of ${upstream} ${FORCE_SAYS[force]}.`,
  };
}

/**
 * @param {'run' | 'pause' | 'resume'} what
 * @param {string} name
 * @param {string} prefix
 * @returns {Change}
 */
export function changeSchedule(what, name, prefix) {
  const says = {
    run: `${name} makes a request now, besides its slots.`,
    pause: `${name} makes no requests until it is resumed.`,
    resume: `${name} goes on with its next slot.`,
  };
  const verb = { run: 'Run now', pause: 'Pause', resume: 'Resume' }[what];
  return {
    method: 'POST',
    path: `${prefix}/schedules/${encodeURIComponent(name)}/${what}`,
    verb,
    says: says[what],
  };
}
