/* The tenants of an upstream that have the most calls, each with the state of its policies. */

import { h, pill } from './dom.js';
import { count } from './words.js';

/** @import { Upstream } from './types.d.ts' */

/** @typedef {NonNullable<Upstream['tenants']>} Tenants */

/** The tenants of an upstream in some words. @param {Upstream['tenants']} tenants @returns {string[]} */
export const tenantNumbers = (tenants) =>
  tenants === undefined ? [] : [`${count(tenants.count)} of ${count(tenants.max)} tenants`];

/** The trouble of tenants in some words. @param {Upstream['tenants']} tenants @returns {string[]} */
export function tenantTrouble(tenants) {
  const open = tenants?.breaker_not_closed ?? 0;
  return open === 0 ? [] : [`breaker of ${count(open)} ${open === 1 ? 'tenant' : 'tenants'} not closed`];
}

/** @param {Upstream['tenants']} tenants */
export function tenantsOf(tenants) {
  if (tenants === undefined || tenants.busiest.length === 0) return h('div');
  const head = ['tenant', 'in flight', 'connections', 'breaker', 'waiting for quota'].map((text) =>
    h('th', { scope: 'col' }, text),
  );
  return h(
    'div',
    { class: 'scroll', role: 'region', 'aria-label': 'tenants', tabindex: 0 },
    h(
      'table',
      {},
      h('caption', {}, `the busiest of ${count(tenants.count)} tenants`),
      h('thead', {}, h('tr', {}, ...head)),
      h('tbody', {}, ...tenants.busiest.map(rowOf)),
    ),
  );
}

/** @param {Tenants['busiest'][number]} tenant */
function rowOf({ tenant, in_flight: running, connections, scopes }) {
  const breakers = scopes.flatMap(({ breaker }) => breaker ?? []);
  const worst = breakers.find(({ state }) => state !== 'closed') ?? breakers[0];
  const waiting = scopes.reduce((sum, { quota }) => sum + (quota?.waiting ?? 0), 0);
  return h(
    'tr',
    {},
    h('th', { scope: 'row' }, tenant),
    h('td', {}, count(running)),
    h('td', {}, count(connections)),
    h('td', {}, worst === undefined ? '\u2013' : pill(worst.state)),
    h('td', {}, count(waiting)),
  );
}
