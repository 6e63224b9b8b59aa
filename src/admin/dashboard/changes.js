/* Builds the calls for all changes that the page offers. Pure. */

import { filterQuery } from './filters.js';
import { count } from './words.js';

/** @import { Change, Monitor, RouteRow } from './types.d.ts' */
/** @import { Filters } from './filters.js' */

/** @typedef {'retry' | 'cancel' | 'delete'} What */

/**
 * The changes that the status of a request allows.
 * @param {Pick<Monitor, 'status' | 'erased'>} monitor
 * @returns {What[]}
 */
export function allowedChanges({ status, erased }) {
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
      description: `${name} is cancelled if it has not finished, and its bodies are erased. This cannot be undone.`,
    };
  if (what === 'cancel') {
    const cut =
      status === 'running' ? ' Its attempt is aborted, and the API may already have processed it.' : '';
    return {
      method: 'POST',
      path: `${self}/cancel`,
      verb: 'Cancel',
      danger: true,
      description: `${name} is cancelled.${cut}`,
    };
  }
  const force = status === 'succeeded';
  return {
    method: 'POST',
    path: `${self}/retry${force ? '?force=true' : ''}`,
    verb: retryVerb(status),
    danger: force,
    description: retryDescription(name, status),
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
function retryDescription(name, status) {
  if (status === 'succeeded') return `${name} has succeeded. It is sent again.`;
  if (retryVerb(status) === 'Replay')
    return `${name} starts again with all its attempts, under the same id and idempotency key.`;
  return `${name} is sent now, before it is due.`;
}

/** Maximum number of requests that one bulk call changes. */
const BULK = 10_000;

/**
 * Changes all requests that match the filter.
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
      : `${count(matches)} requests match the filter, including those that are not listed. Each`;
  const ends =
    what === 'cancel'
      ? 'is cancelled, unless it is running or has finished'
      : 'is sent now or again, unless it is running or has succeeded';
  return {
    method: 'POST',
    path: `${prefix}/requests/${what}?${query}`,
    verb: what === 'cancel' ? 'Cancel all that match' : 'Run all that match',
    danger: true,
    description: `${which} ${ends}.`,
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
    description: paused
      ? `Requests of ${name} that became due during the pause are sent.`
      : `Due requests of ${name} are not sent until it is resumed. Requests are still accepted. Calls without Prefer: respond-async are not affected.`,
  };
}

/** @type {Readonly<Record<string, string>>} */
const FORCE_DESCRIPTIONS = {
  open: 'rejects every call until you change it',
  closed: 'passes every call, whatever fails, until you change it',
  auto: 'opens and closes automatically again',
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
    description: `The circuit breaker of ${upstream} ${FORCE_DESCRIPTIONS[force]}.`,
  };
}

/** @param {string} upstream @returns {Change} */
export function resetQuota(upstream) {
  return {
    method: 'POST',
    path: `/api/upstreams/${encodeURIComponent(upstream)}/quota`,
    body: { reset: true },
    verb: 'Reset quota',
    danger: true,
    description: `The learned limits and the counted usage of ${upstream} are cleared, and its cooldowns end. Calls are sent at once.`,
  };
}

/**
 * @param {string} upstream
 * @param {string} target
 * @param {'out' | 'in'} set
 * @returns {Change}
 */
export function setTarget(upstream, target, set) {
  return {
    method: 'POST',
    path: `/api/upstreams/${encodeURIComponent(upstream)}/target`,
    body: { target, set },
    verb: set === 'out' ? 'Take out' : 'Put in',
    danger: set === 'out',
    description:
      set === 'out'
        ? `${target} of ${upstream} gets no more calls until you put it in. Those that run go on.`
        : `${target} of ${upstream} gets calls again.`,
  };
}

/** @returns {Change} */
export function reload() {
  return {
    method: 'POST',
    path: '/api/reload',
    verb: 'Reload',
    description:
      'The configuration file is read again. If it has problems, the configuration in effect stays.',
  };
}

/**
 * @param {'run' | 'pause' | 'resume'} what
 * @param {string} name
 * @param {string} prefix
 * @returns {Change}
 */
export function changeSchedule(what, name, prefix) {
  const descriptions = {
    run: `${name} creates a request now, in addition to its slots.`,
    pause: `${name} creates no requests until it is resumed.`,
    resume: `${name} continues with its next slot.`,
  };
  const verb = { run: 'Run now', pause: 'Pause', resume: 'Resume' }[what];
  return {
    method: 'POST',
    path: `${prefix}/schedules/${encodeURIComponent(name)}/${what}`,
    verb,
    description: descriptions[what],
  };
}
