/* Loads the data that the page shows. */

import { get, Refused } from './api.js';
import { listQuery } from './filters.js';

/** @import { Monitor } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/** Maximum number of concurrent requests, to spare the server. */
const AT_ONCE = 4;

/**
 * Rejects if the server cannot be reached, or rejects the token.
 * @param {Page} page
 */
export async function askAll(page) {
  page.state = await get('/api/state');
  page.calls = (await get('/api/calls')).groups;
  if (page.prefix === '') return forget(page);
  const { prefix, filters } = page;
  const [routes, list] = await Promise.all([
    get(`${prefix}/routes`),
    get(`${prefix}/requests?${listQuery(filters, page.now())}`),
    askSchedules(page),
    askOpened(page),
  ]);
  page.routes = routes.routes;
  // If the filter has changed meanwhile, another round follows.
  if (filters === page.filters) page.take(list.requests);
  await askAttempts(page);
}

/** @param {Page} page */
function forget(page) {
  page.routes = [];
  page.list = { requests: [] };
  page.schedules = undefined;
  page.opened = undefined;
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
