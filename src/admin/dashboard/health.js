/* Breakers, budgets, limits, quotas and caches of an upstream: the reasons for waits. */

import { facts, h, pill } from './dom.js';
import { count, duration, size } from './words.js';

/** @import { Child } from './dom.js' */
/** @import { Scope } from './types.d.ts' */

/**
 * @param {Scope} scope
 * @param {boolean} named
 */
export function scopeOf(scope, named) {
  const { budget_tokens: tokens, quota, cache_bytes: cached, dedupe_bytes: stored } = scope;
  const list = facts([
    ['breaker', ...breakerOf(scope), shadowOf(scope.breaker)],
    ['retry budget', tokens !== undefined && `${tokens.toFixed(1)} tokens`],
    ['concurrency', ...concurrencyOf(scope), shadowOf(scope.concurrency)],
    ['quota', quota && quotaSummary(quota), shadowOf(quota)],
    ...(quota?.credentials ?? []).map(
      (one) => /** @type {[string, ...Child[]]} */ (['', ...credentialOf(one)]),
    ),
    ['credential', ...authOf(scope)],
    ['cache', cached !== undefined && size(cached)],
    ['idempotent replies', stored !== undefined && size(stored)],
  ]);
  return h('section', {}, named && h('h4', {}, scope.scope), list);
}

/** @param {{ shadow?: true | undefined } | undefined} policy @returns {Child} */
function shadowOf(policy) {
  return policy?.shadow === true && ' (shadow: it refuses nothing)';
}

/** @param {Scope} scope @returns {Child[]} */
function breakerOf({ breaker }) {
  if (breaker === undefined) return [];
  const { state, cause, forced, retry_after_ms: probe } = breaker;
  if (forced) return [pill(state), ' forced by an operator until it is set to auto'];
  const until = probe !== undefined && probe > 0 && `, probe in ${duration(probe)}`;
  return [pill(state), ' ', cause?.replaceAll('_', ' '), until];
}

/** @param {Scope} scope @returns {Child[]} */
function authOf({ auth }) {
  if (auth === undefined) return [];
  const { kind, expires_ms: left, failure } = auth;
  const until = left === undefined ? '' : `, valid for ${duration(left)}`;
  return [`${kind}${until}`, failure !== undefined && h('div', { class: 'trouble' }, failure)];
}

/** @param {Scope} scope @returns {Child[]} */
function concurrencyOf({ concurrency }) {
  if (concurrency === undefined) return [];
  const { limit, in_flight: inFlight, queued } = concurrency;
  const more = queued > 0 ? `, ${queued} queued` : '';
  if (limit === undefined) return [`${inFlight} in flight, no limit${more}`];
  return [meter(inFlight, limit), `${inFlight} of ${Math.floor(limit)}${more}`];
}

/** @typedef {NonNullable<Scope['quota']>} Quota */

/** @param {Quota} quota */
function quotaSummary({ waiting, cooldowns }) {
  const parts = [
    waiting > 0 ? `${count(waiting)} waiting` : 'no calls waiting',
    ...(cooldowns > 0 ? [`${cooldowns} cooldowns`] : []),
  ];
  return h('span', { class: cooldowns > 0 ? 'trouble' : '' }, parts.join(', '));
}

/** @param {Quota['credentials'][number]} credential */
function credentialOf({ credential, limited, waiting, cooldown, buckets }) {
  const name = credential === '' ? 'no credential' : credential;
  const who = h('code', {}, limited === undefined ? name : `${name}: ${limited}`);
  const closed =
    cooldown &&
    h(
      'div',
      { class: 'trouble' },
      `cooldown: ${cooldown.cause.replaceAll('_', ' ')}, ${duration(cooldown.retry_after_ms)}`,
      cooldown.reported_by && `, reported by ${cooldown.reported_by}`,
    );
  return [who, waiting > 0 && ` ${waiting} waiting`, closed, ...buckets.map(bucketOf)];
}

/** @param {Quota['credentials'][number]['buckets'][number]} bucket */
function bucketOf({ bucket, policy, limit, remaining, reset_ms: reset }) {
  const name = policy === undefined ? bucket : `${bucket} ${policy}`;
  const left =
    limit === undefined ? `${count(remaining)} left` : `${count(remaining)} of ${count(limit)} left`;
  const again = reset === undefined || reset <= 0 ? '' : `, reset in ${duration(reset)}`;
  return h(
    'div',
    { class: 'bucket' },
    limit !== undefined && meter(remaining, limit),
    `${name}: ${left}${again}`,
  );
}

/**
 * @param {number} value
 * @param {number} max
 */
function meter(value, max) {
  return h('meter', { min: 0, max: Math.max(1, max), value, 'aria-hidden': 'true' });
}
