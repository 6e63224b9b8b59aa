/* The upstreams: the last minute, charts of their traffic, the state of their policies. */

import { SmallChart } from './charts.js';
import { changeBreaker, resetQuota, setTarget } from './changes.js';
import { button, byId, h, pill, renderList, renderOne } from './dom.js';
import { scopeOf } from './health.js';
import { bandsOf, chartsOf, lastIntervals, timesOf } from './series.js';
import { tenantNumbers, tenantsOf, tenantTrouble } from './tenants.js';
import { count, duration, percent, shortDuration } from './words.js';

/** @import { Child } from './dom.js' */
/** @import { Target, Traffic, Upstream } from './types.d.ts' */
/** @import { Page } from './page-state.js' */

/** With more upstreams than this, only those with trouble are open at first. */
const FEW = 6;

/** Upstreams on one page of the list. */
const PER_PAGE = 50;

/** Intervals of 5 s. */
const FIVE_MINUTES = 60;

/** @type {Readonly<Record<Target['state'], string>>} */
const TARGET_STATES = { in: 'in service', refused: 'key refused', out: 'taken out' };

/** The list of upstreams. */
export class Upstreams {
  #page;
  /** @type {Map<string, Card>} */
  #cards = new Map();
  /** Names of those on the screen. @type {Set<string>} */
  #visible = new Set();
  #intersections;
  #from = 0;
  #search = '';
  #troubled = false;

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    this.#intersections = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: '200px' });
    const search = /** @type {HTMLInputElement} */ (byId('upstream-search'));
    search.addEventListener('input', () => this.#select({ search: search.value.trim().toLowerCase() }));
    const troubled = /** @type {HTMLInputElement} */ (byId('upstream-troubled'));
    troubled.addEventListener('change', () => this.#select({ troubled: troubled.checked }));
  }

  /** @param {{ search?: string, troubled?: boolean, from?: number }} change */
  #select({ search = this.#search, troubled = this.#troubled, from = 0 }) {
    this.#search = search;
    this.#troubled = troubled;
    this.#from = from;
    this.show();
  }

  /** The upstreams whose charts are on the screen. */
  get drawn() {
    return [...this.#visible].filter((name) => this.#cards.get(name)?.isOpen);
  }

  show() {
    const all = this.#page.state?.upstreams ?? [];
    const few = all.length <= FEW;
    const found = all.filter(
      (upstream) =>
        (this.#search === '' || `${upstream.name} ${upstream.url}`.toLowerCase().includes(this.#search)) &&
        (!this.#troubled || troubleOf(upstream) !== ''),
    );
    const troubled = all.filter((upstream) => troubleOf(upstream) !== '').length;
    // Those with trouble may be on another page.
    byId('upstream-troubled-count').textContent = troubled === 0 ? '' : ` (${troubled})`;
    if (this.#from >= found.length) this.#from = 0;
    const shown = found.slice(this.#from, this.#from + PER_PAGE);
    byId('upstream-tools').hidden = few;
    renderList(byId('upstreams'), shown, {
      key: ({ name }) => name,
      content: () => '',
      make: ({ name }) => this.#cardOf(name, few).element,
    });
    const names = new Set(all.map(({ name }) => name));
    for (const [name, card] of this.#cards) if (!names.has(name)) this.#remove(name, card);
    for (const upstream of shown) this.#cards.get(upstream.name)?.update(upstream);
    renderOne(byId('upstream-pages'), [found.length, this.#from], () => this.#pages(found.length));
  }

  /** @param {string} name @param {Card} card */
  #remove(name, card) {
    card.destroy();
    this.#cards.delete(name);
    this.#visible.delete(name);
  }

  /** @param {number} found */
  #pages(found) {
    if (found <= PER_PAGE) return found === 0 ? h('p', { class: 'note' }, 'No upstream matches.') : h('div');
    const to = Math.min(found, this.#from + PER_PAGE);
    return h(
      'div',
      { class: 'buttons' },
      h('span', { class: 'quiet' }, `${this.#from + 1} to ${to} of ${found}`),
      button('previous page', () => this.#select({ from: Math.max(0, this.#from - PER_PAGE) }), {
        class: 'small',
        disabled: this.#from === 0,
      }),
      button('next page', () => this.#select({ from: to }), { class: 'small', disabled: to >= found }),
    );
  }

  /**
   * @param {string} name
   * @param {boolean} few
   */
  #cardOf(name, few) {
    let card = this.#cards.get(name);
    if (card === undefined) {
      card = new Card(this.#page, name, few);
      this.#cards.set(name, card);
      this.#intersections.observe(card.element);
    }
    return card;
  }

  /** @param {readonly Traffic[]} traffic */
  draw(traffic) {
    const started = Date.parse(this.#page.state?.started_at ?? '');
    const intervals = this.#page.address.span === '5m' ? FIVE_MINUTES : Infinity;
    for (const one of traffic) this.#cards.get(one.name)?.draw(lastIntervals(one, intervals), started);
  }

  /** @param {readonly IntersectionObserverEntry[]} entries */
  #seen(entries) {
    const before = this.#visible.size;
    for (const { target, isIntersecting } of entries) {
      const name = target instanceof HTMLElement ? (target.dataset['name'] ?? '') : '';
      if (isIntersecting) this.#visible.add(name);
      else this.#visible.delete(name);
    }
    if (this.#visible.size > before) this.#page.redraw();
  }
}

/** One upstream. Its parts change, the card itself stays. */
class Card {
  element;
  isOpen;
  #page;
  #name;
  #head = h('div', { class: 'upstream-head' });
  #body = h('div', { class: 'upstream-body' });
  #charts = h('div', { class: 'charts' });
  #key = h('p', { class: 'key quiet' });
  #state = h('div', { class: 'scopes' });
  #tenants = h('div');
  #targets = h('div', { class: 'scopes' });
  #history = h('div');
  /** @type {Map<string, SmallChart>} */
  #drawn = new Map();

  /** @param {Page} page @param {string} name @param {boolean} open */
  constructor(page, name, open) {
    this.#page = page;
    this.#name = name;
    this.isOpen = open;
    this.element = h('li', { class: 'card upstream', 'data-name': name }, this.#head, this.#body);
    this.#body.append(this.#charts, this.#key, this.#targets, this.#state, this.#tenants, this.#history);
    this.#body.hidden = !open;
  }

  destroy() {
    for (const chart of this.#drawn.values()) chart.destroy();
  }

  /** @param {Upstream} upstream */
  update(upstream) {
    renderOne(this.#head, [upstream, this.isOpen], () => this.#headOf(upstream));
    if (!this.isOpen) return;
    const { scopes, name, targets = [] } = upstream;
    renderList(this.#targets, targets, {
      key: ({ name: target }) => target,
      content: (target) => target,
      make: (target) => this.#targetOf(target),
    });
    const named = scopes.length > 1 || scopes[0]?.scope !== name;
    renderList(this.#state, scopes, {
      key: ({ scope }) => scope,
      content: (scope) => [scope, named],
      make: (scope) => scopeOf(scope, named),
    });
    renderOne(this.#tenants, [upstream.tenants], () => tenantsOf(upstream.tenants));
  }

  /** @param {Target} target */
  #targetOf({ name, url, state, status, weight, tier, in_flight: inFlight, retry_after_ms: wait }) {
    const set = state === 'in' ? 'out' : 'in';
    return h(
      'div',
      { class: 'scope' },
      h('span', {}, `target ${name} `),
      h('span', { class: `pill is-${state === 'in' ? 'ok' : 'failed'}` }, TARGET_STATES[state]),
      status !== undefined &&
        h('span', {}, ` its key was refused with ${status}, tried again in ${duration(wait ?? 0)}`),
      h('span', { class: 'quiet' }, ` ${url}, ${inFlight} in flight, weight ${weight}, tier ${tier} `),
      button(
        set === 'out' ? 'take out' : 'put in',
        () => this.#page.change([setTarget(this.#name, name, set)]),
        {
          class: 'small',
        },
      ),
    );
  }

  /** @param {Upstream} upstream */
  #headOf(upstream) {
    const { name, url, mount } = upstream;
    const toggle = h(
      'button',
      {
        type: 'button',
        class: 'name',
        'aria-expanded': String(this.isOpen),
        'data-focus': 'name',
        onclick: () => this.#toggle(upstream),
      },
      h('b', {}, name),
    );
    const trouble = troubleOf(upstream);
    return h(
      'div',
      { class: 'upstream-line' },
      h('h3', {}, toggle),
      h('span', { class: 'url quiet' }, `${mount === '' ? '/' : mount} \u2192 ${url}`),
      ...breakersOf(upstream),
      trouble !== '' && h('span', { class: 'trouble' }, trouble),
      h('span', { class: 'numbers' }, ...numbersOf(upstream)),
      this.#actions(upstream),
    );
  }

  /** @param {Upstream} upstream */
  #actions({ scopes, tenants }) {
    const name = this.#name;
    const page = this.#page;
    const force = (/** @type {'open' | 'closed' | 'auto'} */ to) =>
      button(`breaker ${to}`, () => page.change([changeBreaker(name, to)]), { class: 'small' });
    return h(
      'details',
      { class: 'steer' },
      h('summary', { 'data-focus': 'actions', 'aria-label': `actions for ${name}` }, 'actions'),
      h(
        'div',
        { class: 'buttons' },
        ...(tenants !== undefined || scopes.some(({ breaker }) => breaker !== undefined)
          ? [force('auto'), force('open'), force('closed')]
          : []),
        (tenants !== undefined || scopes.some(({ quota }) => quota !== undefined)) &&
          button('reset quota', () => page.change([resetQuota(name)]), { class: 'small' }),
        button('its calls', () => page.go({ calls: { ...page.address.calls, upstream: name } }), {
          class: 'small',
        }),
        button(
          'its configuration',
          () => page.go({ view: 'config', calls: { ...page.address.calls, upstream: name } }),
          { class: 'small' },
        ),
        button(
          'what if …',
          () => page.go({ view: 'whatif', calls: { ...page.address.calls, upstream: name } }),
          { class: 'small' },
        ),
      ),
    );
  }

  /** @param {Upstream} upstream */
  #toggle(upstream) {
    this.isOpen = !this.isOpen;
    this.#body.hidden = !this.isOpen;
    this.update(upstream);
    if (this.isOpen) this.#page.redraw();
  }

  /**
   * @param {Traffic} traffic
   * @param {number} started When the proxy started, in ms since 1970.
   */
  draw(traffic, started) {
    if (!this.isOpen) return;
    const charts = chartsOf(traffic, started);
    const times = timesOf(traffic);
    const bands = bandsOf(traffic);
    const ids = new Set(charts.map(({ id }) => id));
    for (const [id, chart] of this.#drawn) {
      if (ids.has(id)) continue;
      chart.element.remove();
      chart.destroy();
      this.#drawn.delete(id);
    }
    for (const chart of charts) {
      let drawn = this.#drawn.get(chart.id);
      if (drawn === undefined) {
        drawn = new SmallChart({ group: this.#name });
        this.#drawn.set(chart.id, drawn);
        this.#charts.append(drawn.element);
      }
      drawn.show(chart, times, bands);
    }
    const kinds = [...new Set(bands.map(({ kind }) => kind))];
    renderOne(this.#key, kinds, () => keyOf(kinds));
    renderOne(this.#history, traffic.events, () => historyOf(traffic));
  }
}

/** @type {Readonly<Record<'open' | 'half_open' | 'cooldown', readonly [string, string]>>} */
const KEYS = {
  open: ['bad', 'breaker open'],
  half_open: ['wait', 'breaker half-open'],
  cooldown: ['violet', 'quota cooldown'],
};

/** @param {readonly ('open' | 'half_open' | 'cooldown')[]} kinds */
function keyOf(kinds) {
  return h(
    'span',
    {},
    ...kinds.map((kind) =>
      h('span', { class: `value c-${KEYS[kind][0]}` }, h('b', {}, '\u25A0'), ` ${KEYS[kind][1]} `),
    ),
  );
}

/** @type {Readonly<Record<Traffic['events'][number]['kind'], string>>} */
const EVENT_WORDS = {
  open: 'breaker opened',
  closed: 'breaker closed',
  cooldown: 'quota cooldown',
};

/** @param {Traffic} traffic */
function historyOf({ events, name }) {
  if (events.length === 0) return h('div');
  const rows = events
    .toReversed()
    .map(({ at, scope, kind, cause, for_ms: length, probes }) =>
      h(
        'li',
        {},
        h('time', { datetime: at }, new Date(at).toLocaleTimeString()),
        ` ${EVENT_WORDS[kind]}: ${cause.replaceAll('_', ' ')}`,
        length !== undefined && `, ${duration(length)}`,
        probes !== undefined && `, then ${probes} ${probes === 1 ? 'probe' : 'probes'}`,
        scope !== name && h('span', { class: 'quiet' }, ` (${scope})`),
      ),
    );
  return h(
    'details',
    {},
    h('summary', {}, `history of breaker and quota (${events.length})`),
    h('ol', { class: 'history' }, ...rows),
  );
}

/** @param {Upstream} upstream */
function breakersOf({ scopes, name }) {
  return scopes.flatMap(({ scope, breaker }) => {
    if (breaker === undefined) return [];
    if (scope !== name && breaker.state === 'closed' && !breaker.forced) return [];
    const shown = pill(breaker.state);
    shown.prepend(scope === name ? 'breaker ' : `breaker of ${scope.slice(name.length + 1)} `);
    if (breaker.forced) shown.append(', forced');
    return [shown];
  });
}

/** The trouble of an upstream in some words, or ''. @param {Upstream} upstream */
function troubleOf({ faults, scopes, tenants, last_minute: minute }) {
  const parts = [
    ...(faults === true ? ['faults are injected'] : []),
    ...(scopes.some(({ breaker }) => breaker !== undefined && breaker.state !== 'closed')
      ? ['breaker not closed']
      : []),
    ...tenantTrouble(tenants),
    ...(scopes.some(({ quota }) => (quota?.cooldowns ?? 0) > 0) ? ['quota cooldown'] : []),
    ...((minute?.effective_success ?? 1) < 0.95
      ? [`only ${percent(minute?.effective_success ?? 0)} succeed`]
      : []),
  ];
  return parts.join(', ');
}

/** @param {Upstream} upstream @returns {Child[]} */
function numbersOf({ last_minute: minute, in_flight: running, connections, tenants, tunnels }) {
  const now = [
    `${count(running)} in flight`,
    `${count(connections)} connections`,
    ...(tunnels > 0 ? [`${tunnels} tunnels`] : []),
    ...tenantNumbers(tenants),
  ];
  if (minute === undefined || minute.calls + minute.attempts === 0)
    return [number('', 'no calls in the last minute'), number('', now.join(' · '))];
  const { calls, attempts, effective_success: effective, actual_success: actual, p95_ms: p95 } = minute;
  return [
    number(calls >= 600 ? `${count(Math.round(calls / 60))}/s` : `${count(calls)}/min`, 'calls'),
    number(effective === undefined ? '–' : percent(effective), 'of calls succeed'),
    number(actual === undefined ? '–' : percent(actual), 'of attempts'),
    number(calls === 0 ? '–' : (attempts / calls).toFixed(2), 'attempts per call'),
    number(p95 === undefined ? '–' : shortDuration(p95), 'p95'),
    number('', now.join(' · ')),
  ];
}

/** @param {string} value @param {string} label */
const number = (value, label) =>
  h('span', { class: 'number' }, value !== '' && h('b', {}, value), value !== '' && ' ', label);
