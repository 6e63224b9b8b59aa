/* Follows the state of the proxy, asks for what the view shows, and retries after errors. */

import { ALL_CALLS, SPANS, searchTarget } from './address.js';
import { get, Refused, token } from './api.js';
import { askAll } from './ask.js';
import { listenToCalls, showCalls } from './calls.js';
import { ConfigView } from './config.js';
import { askToken } from './confirm.js';
import { byId, h, renderOne } from './dom.js';
import { Live } from './live.js';
import { Page } from './page-state.js';
import { showQueue } from './queue.js';
import { showRoutes } from './routes.js';
import { showSchedules } from './schedules.js';
import { moveNow } from './timeline-view.js';
import { listenToFilters, showTools } from './tools.js';
import { Upstreams } from './upstreams.js';
import { WhatIf } from './what-if.js';
import { ago, count, countdown } from './words.js';

/** @import { Address } from './address.js' */
/** @import { State } from './types.d.ts' */

/** Durable requests are asked for this often; nothing announces their changes. */
const EVERY_MS = 2_000;

/** How often the charts change. */
const INTERVAL_MS = { '5m': 5_000, '15m': 5_000, '6h': 60_000 };

/** Upstreams in one question for traffic, as the server allows. */
const AT_ONCE = 20;

/** A link to a call leads to it, below the upstreams, once both are shown. */
let leadsToCall = new URLSearchParams(location.search).get('call') !== null;

const page = new Page({ show, ask: askSoon, redraw: drawSoon });
const upstreams = new Upstreams(page);
const config = new ConfigView(page);
const whatIf = new WhatIf(page);
const live = new Live({ state: take, trouble: troubled });
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let drawTimer;
let asking = false;
let again = false;
/**
 * Shown instead of the readiness while the server does not answer.
 * @type {'unknown' | 'unreachable' | undefined}
 */
let away;
/** Time of the server's last answer. */
let answeredAt = 0;

/** @param {State} state */
function take(state) {
  const before = page.state;
  page.state = state;
  answeredAt = page.now();
  reached('', true);
  // A restarted proxy has other calls.
  const restarted = before?.started_at !== state.started_at;
  if (restarted || before?.notable_calls !== state.notable_calls) askSoon();
  if (restarted) drawSoon();
  show();
}

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
  } catch (error) {
    troubled(error);
  }
  asking = false;
  show();
  if (again) void round();
  else if (document.visibilityState === 'visible' && page.address.view === 'durable')
    timer = setTimeout(() => void round(), EVERY_MS);
}

function askSoon() {
  void round();
}

/** Asks for the traffic of the upstreams on the screen, now and with each new interval. */
async function draw() {
  clearTimeout(drawTimer);
  const { span, view } = page.address;
  const names = upstreams.drawn.slice(0, AT_ONCE);
  if (view === 'traffic' && names.length > 0 && document.visibilityState === 'visible') {
    const query = new URLSearchParams([
      ['span', span === '6h' ? '6h' : '15m'],
      ...names.map((name) => ['upstream', name]),
    ]);
    try {
      const answer = await get(`/api/traffic?${query}`);
      if (span === page.address.span) upstreams.draw(answer.upstreams);
    } catch {
      // The stream of the state shows that the server does not answer.
    }
  }
  clearTimeout(drawTimer);
  drawTimer = setTimeout(() => void draw(), INTERVAL_MS[span]);
}

function drawSoon() {
  clearTimeout(drawTimer);
  drawTimer = setTimeout(() => void draw(), 50);
}

/** @param {unknown} error */
function troubled(error) {
  if (error instanceof Refused && error.status === 401) {
    away = 'unknown';
    reached('The admin token is missing or wrong.', false);
    askToken(begin, token.get() !== undefined);
    return show();
  }
  away = 'unreachable';
  const answered = error instanceof Refused && error.status !== 0;
  const why = answered ? `The server answered: ${error.message}.` : 'The proxy does not answer.';
  const since = answeredAt === 0 ? '' : ` The data is from ${new Date(answeredAt).toLocaleTimeString()}.`;
  reached(`${why}${since} Retrying \u2026`, false);
  show();
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
  const { state, prefix, address } = page;
  showHeader();
  for (const view of ['traffic', 'durable', 'config', 'whatif'])
    byId(`view-${view}`).hidden = address.view !== view;
  byId('no-durable').hidden = state === undefined || prefix !== '';
  for (const id of ['durable-part', 'routes-part']) byId(id).hidden = prefix === '';
  if (state === undefined) return;
  if (address.view === 'traffic') {
    showSpan();
    upstreams.show();
    showCalls(page);
    leadToCall();
  }
  if (address.view === 'durable' && prefix !== '') {
    showRoutes(page);
    showTools(page);
    showQueue(page);
    showSchedules(page);
  }
  if (address.view === 'config') config.show();
  if (address.view === 'whatif') whatIf.show();
  follow();
}

function leadToCall() {
  if (!leadsToCall || page.state === undefined || page.calls.length === 0) return;
  leadsToCall = false;
  byId('calls-title').scrollIntoView();
}

function showHeader() {
  const { state, address } = page;
  const readiness = byId('readiness');
  // A state from before an error does not describe a proxy that does not answer now.
  const said = away ?? state?.readiness ?? 'unknown';
  readiness.textContent = said.replace('_', ' ');
  readiness.className = `pill is-${said}`;
  document.title = said === 'ready' && state?.refused_reload === undefined ? 'Breakwater' : '(!) Breakwater';
  for (const link of document.querySelectorAll('nav a')) markCurrent(link, address.view);
  if (state !== undefined) showAbout(state);
  if (state !== undefined) showShared(state);
}

/** @param {State} state */
function showShared({ shared }) {
  const line = byId('shared');
  line.hidden = shared === undefined;
  if (shared === undefined) return;
  const { away: cause, replicas, store, values } = shared;
  line.className = cause === undefined && values?.away === undefined ? 'note' : 'banner';
  const quotas =
    cause === undefined
      ? `Quotas are shared by ${count(replicas)} ${replicas === 1 ? 'replica' : 'replicas'} through ${store}.`
      : `The shared store ${store} is not used (${cause}). This replica uses its share of each quota: the limit divided by ${count(replicas)}.`;
  line.textContent = `${quotas}${sharedValues(values)}`;
}

/** @param {NonNullable<State['shared']>['values']} values */
function sharedValues(values) {
  if (values === undefined) return '';
  return values.away === undefined
    ? ' Replies of dedupe and access tokens are shared.'
    : ` Replies of dedupe and access tokens are not shared (${values.away}): this replica knows only its own.`;
}

/**
 * @param {Element} link
 * @param {string} view
 */
function markCurrent(link, view) {
  const here = link instanceof HTMLElement && link.dataset['view'] === view;
  if (here) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
}

/** @param {State} state */
function showAbout({ version, file, started_at: started, loaded_at: loaded, refused_reload: refused }) {
  renderOne(byId('about'), [version, file, started, loaded], () =>
    h(
      'span',
      {
        title: `running since ${new Date(started).toLocaleString()}, configuration loaded ${new Date(loaded).toLocaleString()}`,
      },
      `${version} \u00B7 ${file}`,
    ),
  );
  byId('refused').hidden = refused === undefined;
  renderOne(byId('refused'), refused ?? '', () =>
    h(
      'div',
      {},
      h('b', {}, 'The new configuration was refused'),
      ` at ${new Date(refused?.at ?? '').toLocaleTimeString()}. The one from before is in effect.`,
      h('ul', {}, ...(refused?.problems ?? []).map((problem) => h('li', {}, problem))),
    ),
  );
}

function showSpan() {
  for (const one of document.querySelectorAll('#spans button'))
    if (one instanceof HTMLElement)
      one.setAttribute('aria-pressed', String(one.dataset['span'] === page.address.span));
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
  for (const line of document.querySelectorAll('#queue .timeline')) moveNow(line, at);
}

function listen() {
  listenToFilters(page);
  listenToCalls(page);
  for (const link of document.querySelectorAll('nav a'))
    link.addEventListener('click', (event) => {
      event.preventDefault();
      const view = link instanceof HTMLElement ? link.dataset['view'] : undefined;
      page.go({ view: /** @type {Address['view']} */ (view ?? 'traffic') });
      if (view === 'traffic') drawSoon();
    });
  for (const one of document.querySelectorAll('#spans button'))
    one.addEventListener('click', () => {
      const chosen = one instanceof HTMLElement ? one.dataset['span'] : undefined;
      page.go({ span: SPANS.find((span) => span === chosen) ?? '15m' });
      drawSoon();
    });
  byId('search').addEventListener('submit', (event) => {
    event.preventDefault();
    void search(/** @type {HTMLInputElement} */ (byId('search-text')).value.trim());
  });
}

/** The id of a durable request looks like an id that a client may give to a call. @param {string} text */
async function search(text) {
  if (text === '') return;
  const target = searchTarget(text);
  const durable =
    target.view !== 'durable' || page.prefix === ''
      ? undefined
      : await get(`${page.prefix}/requests/${encodeURIComponent(text)}`).catch(() => undefined);
  page.closedGroups.clear();
  page.go(durable === undefined ? { view: 'traffic', calls: { ...ALL_CALLS, text } } : target);
  byId('calls-title').scrollIntoView();
}

function begin() {
  live.stop();
  live.start();
  askSoon();
  drawSoon();
}

listen();
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') begin();
  else live.stop();
});
setInterval(() => document.visibilityState === 'visible' && follow(), 1_000);
show();
begin();
