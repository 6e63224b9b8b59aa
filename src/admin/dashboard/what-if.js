/* Simulates an outage with the settings of an upstream, also with changed ones, and draws the result. */

import { ask, Refused } from './api.js';
import { SmallChart } from './charts.js';
import { labelled, problemOf, select } from './config.js';
import { button, byId, h } from './dom.js';
import { duration, percent } from './words.js';

/** @import { Chart, Line } from './series.js' */
/** @import { Page } from './page-state.js' */

const FAULTS = [
  'outage',
  'blackhole',
  'brownout',
  'flaky=0.3',
  'stall=0.3',
  'error-event=0.3',
  'rate-limited',
  'exhausted',
  'flapping',
];

/** @typedef {{ readonly success: number, readonly attemptsPerRequest: number, readonly requests: number }} Phase */
/** @typedef {{ readonly atSeconds: number, readonly success?: number, readonly attemptsPerSecond: number, readonly requestsPerSecond: number }} Bucket */

/**
 * The result for one configuration.
 * @typedef {object} Result
 * @property {{ readonly before: Phase, readonly during: Phase, readonly after: Phase, readonly recoveredAfterSeconds?: number }} figures
 * @property {readonly (readonly [reason: string, count: number])[]} failures
 * @property {readonly Bucket[]} series
 */

/**
 * @typedef {object} Report
 * @property {string} upstream
 * @property {string} route
 * @property {{ readonly faultMs: number, readonly capacityPerSecond: number }} scenario
 * @property {Result} config
 * @property {Result} [before] The file, if settings were changed.
 * @property {Result} [defaults]
 * @property {readonly string[]} warnings
 */

/** The form, and the last result. */
export class WhatIf {
  #page;
  #upstream = h('span');
  #names = '';
  #chosen = '';
  #result = h('div', { role: 'status' });
  #charts = [
    new SmallChart({ group: 'whatif', axis: (at) => `${at} s` }),
    new SmallChart({ group: 'whatif', axis: (at) => `${at} s` }),
  ];
  #fault = select(FAULTS, 'outage', () => {});
  #run = button('Simulate', () => void this.#simulate(), { class: 'primary' });
  #settings = h('textarea', {
    rows: 4,
    spellcheck: 'false',
    placeholder: 'retry: { attempts: 5 }\nbreaker: off',
  });
  /** @type {Readonly<Record<string, HTMLInputElement>>} */
  #fields;

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
    const field = (/** @type {string} */ value) => h('input', { value, autocomplete: 'off', size: 8 });
    this.#fields = {
      route: field('default'),
      for: field('20s'),
      rps: field('20'),
      callers: field('1'),
      latency: field('100ms'),
      target: field(''),
    };
    const { route, for: length, rps, callers, latency, target } = this.#fields;
    byId('whatif').append(
      h(
        'p',
        { class: 'note' },
        'The real policies run in virtual time against a simulated upstream. Nothing is sent, and the proxy is not changed. The command "breakwater simulate" does the same.',
      ),
      h(
        'form',
        { class: 'filters', onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
        labelled('Upstream', this.#upstream),
        labelled('Route', /** @type {HTMLElement} */ (route)),
        labelled('Fault', this.#fault),
        labelled('for', /** @type {HTMLElement} */ (length)),
        labelled('Calls per second', /** @type {HTMLElement} */ (rps)),
        labelled('Proxies that share the load', /** @type {HTMLElement} */ (callers)),
        labelled('Latency', /** @type {HTMLElement} */ (latency)),
        labelled('Only this target fails', /** @type {HTMLElement} */ (target)),
        this.#run,
      ),
      h(
        'label',
        { class: 'settings' },
        'Changed settings of the upstream (YAML), to compare with those of the file. Optional.',
        this.#settings,
      ),
      this.#result,
      h('div', { class: 'charts' }, ...this.#charts.map(({ element }) => element)),
    );
    for (const { element } of this.#charts) element.hidden = true;
  }

  show() {
    const names = (this.#page.state?.upstreams ?? []).map(({ name }) => name);
    const chosen = this.#page.address.calls.upstream || names[0] || '';
    if (this.#names === names.join() && this.#chosen === chosen) return;
    this.#names = names.join();
    this.#chosen = chosen;
    const go = (/** @type {string} */ upstream) =>
      this.#page.go({ calls: { ...this.#page.address.calls, upstream } });
    this.#upstream.replaceChildren(select(names, chosen, go));
  }

  async #simulate() {
    this.#run.disabled = true;
    this.#result.replaceChildren(h('p', { class: 'note' }, 'Simulating \u2026'));
    const fields = Object.entries(this.#fields).map(([name, { value }]) => [name, value.trim()]);
    const body = {
      upstream: this.#chosen,
      fault: this.#fault.value,
      ...Object.fromEntries(fields),
      settings: this.#settings.value,
    };
    try {
      this.#draw(await ask('/api/simulate', body));
    } catch (error) {
      const errors = error instanceof Refused ? error.errors : [];
      this.#result.replaceChildren(
        problemOf({ detail: error instanceof Error ? error.message : String(error), errors }),
      );
    }
    this.#run.disabled = false;
  }

  /** @param {Report} report */
  #draw(report) {
    const { scenario, warnings } = report;
    const results = resultsOf(report);
    this.#result.replaceChildren(
      ...warnings.map((warning) => h('p', { class: 'trouble' }, warning)),
      figuresOf(results),
    );
    const times = report.config.series.map(({ atSeconds }) => Math.round(atSeconds * 10) / 10);
    const bands = [{ kind: /** @type {const} */ ('fault'), from: 0, to: scenario.faultMs / 1_000 }];
    for (const [index, chart] of chartsOf(results).entries()) {
      const drawn = this.#charts[index];
      if (drawn === undefined) continue;
      drawn.element.hidden = false;
      drawn.show(chart, times, bands);
    }
  }
}

/** @typedef {{ readonly label: string, readonly color: string, readonly result: Result }} Named */

/** @param {Report} report @returns {Named[]} The last is drawn on top. */
function resultsOf({ config, before, defaults }) {
  return [
    ...(defaults === undefined ? [] : [{ label: 'built-in defaults', color: 'quiet', result: defaults }]),
    ...(before === undefined ? [] : [{ label: 'as in the file', color: 'wait', result: before }]),
    { label: before === undefined ? 'as in the file' : 'changed', color: 'run', result: config },
  ];
}

/** @param {readonly Named[]} results @returns {Chart[]} */
function chartsOf(results) {
  /** @param {(bucket: Bucket) => number | undefined} value @returns {Line[]} */
  const lines = (value) =>
    results.map(({ label, color, result }) => ({
      label,
      color,
      values: result.series.map((bucket) => value(bucket) ?? null),
    }));
  return [
    {
      id: 'success',
      title: 'Success of calls, by arrival',
      lines: lines(({ success }) => success),
      format: percent,
      max: 1,
    },
    {
      id: 'attempts',
      title: 'Attempts per second at the upstream',
      lines: lines(({ attemptsPerSecond }) => attemptsPerSecond),
      format: (value) => String(Math.round(value)),
    },
  ];
}

/** @param {readonly Named[]} results */
function figuresOf(results) {
  const head = [
    '',
    'succeed before',
    'during',
    'in the minute after',
    'attempts per call during',
    'recovered after',
    'why calls fail',
  ];
  const rows = results.toReversed().map(({ label, result: { figures, failures } }) => {
    const { before, during, after, recoveredAfterSeconds: recovered } = figures;
    const cells = [
      percent(before.success),
      percent(during.success),
      percent(after.success),
      during.attemptsPerRequest.toFixed(2),
      recovered === undefined ? 'not within 3 min' : duration(recovered * 1_000),
      failures.map(([reason, count]) => `${reason.replaceAll('_', ' ')} ${count}`).join(', '),
    ];
    return h('tr', {}, h('th', { scope: 'row' }, label), ...cells.map((cell) => h('td', {}, cell)));
  });
  return h(
    'div',
    { class: 'scroll', role: 'region', 'aria-label': 'figures', tabindex: 0 },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h('tr', {}, ...head.map((name) => (name === '' ? h('td') : h('th', { scope: 'col' }, name)))),
      ),
      h('tbody', {}, ...rows),
    ),
  );
}
