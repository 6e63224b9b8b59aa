/* The configuration in effect, and where each value was set. */

import { get, Refused } from './api.js';
import { reload } from './changes.js';
import { button, byId, h, renderOne } from './dom.js';

/** @import { Page } from './page-state.js' */

/** @typedef {{ readonly key: string, readonly shown: string, readonly origin: string }} Value */

/**
 * @typedef {object} Values
 * @property {string} file
 * @property {readonly Value[]} process
 * @property {readonly { readonly name: string, readonly routes: readonly string[] }[]} upstreams
 * @property {readonly Value[]} [values] Of the chosen route.
 */

/** Asks for the values when the choice or the configuration changes. */
export class ConfigView {
  #page;
  #route = 'default';
  #find = '';
  #written = false;
  /** The question of the latest answer. */
  #asked = '';
  /** @type {Values | undefined} */
  #values;
  /** @type {{ readonly detail: string, readonly errors: readonly string[] } | undefined} */
  #problem;

  /** @param {Page} page */
  constructor(page) {
    this.#page = page;
  }

  show() {
    const { state, address } = this.#page;
    const upstream = address.calls.upstream || state?.upstreams[0]?.name || '';
    const asked = JSON.stringify([upstream, this.#route, state?.loaded_at, state?.refused_reload]);
    if (asked !== this.#asked) {
      this.#asked = asked;
      void this.#ask(upstream, asked);
    }
    const content = [this.#values, this.#problem, upstream, this.#route, this.#find, this.#written];
    renderOne(byId('config'), content, () => this.#view(upstream));
  }

  /**
   * @param {string} upstream
   * @param {string} asked
   */
  async #ask(upstream, asked) {
    const query = new URLSearchParams(upstream === '' ? {} : { upstream, route: this.#route });
    try {
      const values = await get(`/api/config/values?${query}`);
      if (asked !== this.#asked) return;
      this.#values = values;
      this.#problem = undefined;
    } catch (error) {
      if (asked !== this.#asked) return;
      this.#problem = { detail: String(error), errors: error instanceof Refused ? error.errors : [] };
    }
    this.show();
  }

  /** @param {string} upstream */
  #view(upstream) {
    const known = this.#values;
    const routes = known?.upstreams.find(({ name }) => name === upstream)?.routes ?? ['default'];
    const names = known?.upstreams.map(({ name }) => name) ?? [];
    const find = h('input', {
      type: 'search',
      'data-focus': 'find',
      autocomplete: 'off',
      value: this.#find,
      oninput: () => this.#choose({ find: find.value }),
    });
    const written = h('input', {
      type: 'checkbox',
      'data-focus': 'written',
      onchange: () => this.#choose({ written: written.checked }),
    });
    written.checked = this.#written;
    return h(
      'div',
      {},
      h(
        'div',
        { class: 'filters' },
        labelled(
          'Upstream',
          select(names, upstream, (name) => this.#upstream(name)),
        ),
        labelled(
          'Route',
          select(routes, this.#route, (route) => this.#choose({ route })),
        ),
        labelled('Key or value', find),
        h('label', { class: 'check' }, written, ' only what the file sets'),
        button('Reload the file', () => this.#page.change([reload()]), { class: 'small' }),
      ),
      this.#problem && problemOf(this.#problem),
      known && tableOf(`Route ${upstream}/${this.#route}`, this.#filtered(known.values ?? [])),
      known && tableOf('The process', this.#filtered(known.process)),
    );
  }

  /** @param {string} upstream */
  #upstream(upstream) {
    this.#route = 'default';
    this.#page.go({ calls: { ...this.#page.address.calls, upstream } });
  }

  /** @param {{ route?: string, find?: string, written?: boolean }} change */
  #choose({ route = this.#route, find = this.#find, written = this.#written }) {
    this.#route = route;
    this.#find = find;
    this.#written = written;
    this.show();
  }

  /** @param {readonly Value[]} values */
  #filtered(values) {
    const find = this.#find.trim().toLowerCase();
    return values.filter(
      ({ key, shown, origin }) =>
        `${key} ${shown} ${origin}`.toLowerCase().includes(find) && !(this.#written && origin === 'built-in'),
    );
  }
}

/**
 * @param {string} label
 * @param {HTMLElement} field
 */
export function labelled(label, field) {
  return h('label', {}, `${label} `, field);
}

/**
 * @param {readonly string[]} values
 * @param {string} chosen
 * @param {(value: string) => void} choose
 */
export function select(values, chosen, choose) {
  const field = h(
    'select',
    { 'data-focus': values.join(), onchange: () => choose(field.value) },
    ...values.map((value) => h('option', { value, selected: value === chosen }, value)),
  );
  return field;
}

/** @param {{ readonly detail: string, readonly errors: readonly string[] }} problem */
export function problemOf({ detail, errors }) {
  return h(
    'div',
    { class: 'problem', role: 'alert' },
    h('b', {}, detail),
    h('ul', {}, ...errors.map((error) => h('li', {}, error))),
  );
}

/**
 * @param {string} title
 * @param {readonly Value[]} values
 */
function tableOf(title, values) {
  const head = ['key', 'value', 'set in'].map((name) => h('th', { scope: 'col' }, name));
  const rows = values.map(({ key, shown, origin }) =>
    h(
      'tr',
      { class: origin === 'built-in' ? '' : 'written' },
      h('td', {}, h('code', {}, key)),
      h('td', {}, shown),
      h('td', { class: 'quiet' }, origin),
    ),
  );
  return h(
    'section',
    {},
    h('h3', { class: 'table-title' }, title),
    values.length === 0
      ? h('p', { class: 'note' }, 'No value matches.')
      : h(
          'div',
          { class: 'scroll', role: 'region', 'aria-label': title, tabindex: 0 },
          h('table', { class: 'values' }, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)),
        ),
  );
}
