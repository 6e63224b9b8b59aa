/* Loads the data that the page shows. */

import { get, Refused } from './api.js';
import { callsQuery } from './calls.js';
import { listQuery } from './filters.js';

/** @import { Monitor } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/** Maximum number of concurrent requests, to spare the server. */
const AT_ONCE = 4;

/**
 * Loads what the view shows in addition to the state. Rejects if the server cannot be reached, or rejects the token.
 * @param {Page} page
 */
export async function askAll(page) {
  if (page.address.view === 'traffic') await askCalls(page);
  if (page.address.view === 'durable' && page.prefix !== '') await askDurable(page);
}

/** @param {Page} page */
export async function askCalls(page) {
  const query = callsQuery(page);
  const { groups } = await get(`/api/calls?${query}`);
  // If the filter has changed meanwhile, another round follows.
  if (query === callsQuery(page)) page.calls = groups;
}

/** @param {Page} page */
async function askDurable(page) {
  const { prefix, filters, cursors } = page;
  const [routes, list] = await Promise.all([
    get(`${prefix}/routes`),
    get(`${prefix}/requests?${listQuery(filters, page.now(), cursors.at(-1))}`),
    askSchedules(page),
    askOpened(page),
  ]);
  page.routes = routes.routes;
  if (filters === page.filters && cursors === page.cursors) {
    page.take(list.requests);
    page.next = list.cursor;
  }
  await askAttempts(page);
}

/** @param {Page} page */
async function askSchedules(page) {
  const found = await ifThere(get(`${page.prefix}/schedules`));
  page.schedules = Array.isArray(found?.schedules) ? found.schedules : undefined;
}

/** @param {Page} page */
async function askOpened(page) {
  const { id } = page.filters;
  page.opened =
    id === '' ? undefined : await ifThere(get(`${page.prefix}/requests/${encodeURIComponent(id)}`));
}

/** @param {Promise<any>} answer */
async function ifThere(answer) {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Refused && [404, 405, 410].includes(error.status)) return undefined;
    throw error;
  }
}

/** Loads the attempts of visible requests that have changed. @param {Page} page */
async function askAttempts(page) {
  const listed = page.opened === undefined ? page.list.requests : [...page.list.requests, page.opened];
  const ids = new Set(listed.map(({ id }) => id));
  for (const id of page.attempts.keys()) if (!ids.has(id)) page.attempts.delete(id);
  const missing = listed.filter((monitor) => wanted(page, monitor));
  const next = async () => {
    for (let monitor = missing.shift(); monitor !== undefined; monitor = missing.shift()) {
      const answer = await ifThere(get(`${page.prefix}/requests/${encodeURIComponent(monitor.id)}/attempts`));
      page.attempts.set(monitor.id, { version: versionOf(monitor), rows: answer?.attempts ?? [] });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

/**
 * @param {Page} page
 * @param {Monitor} monitor
 */
function wanted(page, monitor) {
  if (monitor.attempts.made === 0) return false;
  if (!page.visible.has(monitor.id) && page.filters.id !== monitor.id) return false;
  return page.attempts.get(monitor.id)?.version !== versionOf(monitor);
}

/** @param {Monitor} monitor */
function versionOf({ status, attempts, started_at: started }) {
  return `${status} ${attempts.made} ${started ?? ''}`;
}
