/* Loads the state every two seconds while the page is visible, shows it, and retries after errors. */

import { Refused, token } from './api.js';
import { askAll } from './ask.js';
import { askToken } from './confirm.js';
import { byId } from './dom.js';
import { showHealth } from './health.js';
import { Page } from './page-state.js';
import { showQueue } from './queue.js';
import { showRecent } from './recent.js';
import { showRoutes } from './routes.js';
import { showSchedules } from './schedules.js';
import { moveNow } from './timeline-view.js';
import { listenToFilters, showTools } from './tools.js';
import { ago, countdown } from './words.js';

const EVERY_MS = 2_000;

const page = new Page({ show, ask: askSoon });
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let asking = false;
let again = false;
/**
 * Shown instead of the readiness while the server does not answer.
 * @type {'unknown' | 'unreachable' | undefined}
 */
let away;
/** Time of the server's last answer. */
let answeredAt = 0;

/** One round at a time. A request for another round during a round starts one afterwards. */
async function round() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  again = false;
  clearTimeout(timer);
  try {
    await askAll(page);
    answeredAt = page.now();
    reached('', true);
  } catch (error) {
    troubled(error);
  }
  asking = false;
  show();
  if (again) void round();
  else if (document.visibilityState === 'visible') timer = setTimeout(() => void round(), EVERY_MS);
}

function askSoon() {
  void round();
}

/** @param {unknown} error */
function troubled(error) {
  if (error instanceof Refused && error.status === 401) {
    away = 'unknown';
    reached('The admin token is missing or wrong.', false);
    askToken(askSoon, token.get() !== undefined);
    return;
  }
  away = 'unreachable';
  const why =
    error instanceof Refused ? `The server answered: ${error.message}.` : 'The server is not reachable.';
  const since = answeredAt === 0 ? '' : ` The data is from ${ago(answeredAt, page.now())}.`;
  reached(`${why}${since} Retrying …`, false);
}

/**
 * @param {string} trouble
 * @param {boolean} answered
 */
function reached(trouble, answered) {
  if (answered) away = undefined;
  const banner = byId('trouble');
  if (banner.textContent !== trouble) banner.textContent = trouble;
  banner.hidden = trouble === '';
  document.body.classList.toggle('stale', !answered);
}

function show() {
  const { state, prefix } = page;
  const readiness = byId('readiness');
  // A state from before an error does not describe a proxy that does not answer now.
  const said = away ?? state?.readiness ?? 'unknown';
  readiness.textContent = said.replace('_', ' ');
  readiness.className = `pill is-${said}`;
  for (const id of ['durable-part', 'routes-part', 'to-queue', 'to-routes']) byId(id).hidden = prefix === '';
  byId('no-durable').hidden = state === undefined || prefix !== '';
  if (state === undefined) return;
  showHealth(page);
  showRecent(page);
  if (prefix !== '') {
    showRoutes(page);
    showTools(page);
    showQueue(page);
    showSchedules(page);
  }
  follow();
}

/** Updates the texts that depend on the current time, also between rounds. */
function follow() {
  const at = page.now();
  for (const time of document.querySelectorAll('time[data-how]')) {
    if (!(time instanceof HTMLTimeElement)) continue;
    const moment = Date.parse(time.dateTime);
    const text = time.dataset['how'] === 'ago' ? ago(moment, at) : countdown(moment, at);
    if (time.textContent !== text) time.textContent = text;
  }
  for (const line of document.querySelectorAll('.timeline')) moveNow(line, at);
}

listenToFilters(page);
byId('recent-more').addEventListener('click', () => {
  page.allRecent = true;
  show();
});
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && askSoon());
setInterval(() => document.visibilityState === 'visible' && follow(), 1_000);
askSoon();
