/* The state of the page. The views show it and call its methods. */

import { now } from './api.js';
import { confirmChange } from './confirm.js';
import { filtersOf, refreshInPlace, runningFirst, searchOf } from './filters.js';

/** @import { Attempt, CallGroup, Change, Monitor, RouteRow, Schedule, State } from './types.d.ts' */
/** @import { Filters } from './filters.js' */

/** The loaded data, the filters and the selection. */
export class Page {
  /** @type {State | undefined} */
  state;
  /** @type {readonly CallGroup[]} */
  calls = [];
  /** @type {readonly RouteRow[]} */
  routes = [];
  /** @type {{ readonly requests: readonly Monitor[] }} */
  list = { requests: [] };
  /** The open request. @type {Monitor | undefined} */
  opened;
  /** Undefined if the server has none. @type {readonly Schedule[] | undefined} */
  schedules;
  /** @type {Filters} */
  filters = filtersOf(location.search);
  /** @type {Set<string>} */
  selected = new Set();
  allRecent = false;
  /** Ids of the visible lines. @type {Set<string>} */
  visible = new Set();
  /** @type {Map<string, { readonly version: string, readonly rows: readonly Attempt[] }>} */
  attempts = new Map();
  #show;
  #ask;
  #intersections;

  /** @param {{ show: () => void, ask: () => void }} hooks `ask`: the server, at once. */
  constructor({ show, ask }) {
    this.#show = show;
    this.#ask = ask;
    this.#intersections = new IntersectionObserver((entries) => this.#seen(entries));
    addEventListener('popstate', () => {
      this.filters = filtersOf(location.search);
      this.list = { requests: [] };
      this.#ask();
    });
  }

  /** Prefix of the API of durable requests; '' without durable routes. */
  get prefix() {
    return this.state?.durable?.prefix ?? '';
  }

  /** Current time by the server's clock. */
  now() {
    return now();
  }

  /** @param {Monitor} monitor */
  attemptsOf({ id }) {
    return this.attempts.get(id)?.rows ?? [];
  }

  /** The order of the lines is frozen while a request is open or selected. */
  get frozen() {
    return this.selected.size > 0 || this.filters.id !== '';
  }

  /** @param {readonly Monitor[]} requests As they are now. */
  take(requests) {
    const shown = this.list.requests;
    this.list = {
      requests: this.frozen && shown.length > 0 ? refreshInPlace(shown, requests) : runningFirst(requests),
    };
  }

  /** @param {Partial<Filters>} change */
  filter(change) {
    this.filters = { ...this.filters, id: '', ...change };
    this.selected.clear();
    history.pushState(null, '', `${location.pathname}${searchOf(this.filters)}`);
    this.#show();
    this.#ask();
  }

  /** @param {string} id '' for none. */
  open(id) {
    this.filters = { ...this.filters, id };
    history.pushState(null, '', `${location.pathname}${searchOf(this.filters)}`);
    this.#show();
    // A request that is not in the list is shown above it.
    if (id !== '' && !this.list.requests.some((one) => one.id === id)) scrollTo({ top: 0 });
    this.#ask();
  }

  /**
   * @param {string} id
   * @param {boolean} selected
   */
  select(id, selected) {
    if (selected) this.selected.add(id);
    else this.selected.delete(id);
    this.#show();
  }

  /** @param {readonly Change[]} changes */
  change(changes) {
    confirmChange(changes, () => {
      this.selected.clear();
      this.#ask();
    });
  }

  /** Observes a line, whose attempts are loaded while it is visible. @param {HTMLElement} line */
  watch(line) {
    this.#intersections.observe(line);
  }

  /** @param {readonly IntersectionObserverEntry[]} entries */
  #seen(entries) {
    const before = this.visible.size;
    for (const { target, isIntersecting } of entries) {
      const id = target instanceof HTMLElement ? (target.dataset['id'] ?? '') : '';
      if (!target.isConnected) this.#intersections.unobserve(target);
      else if (isIntersecting) this.visible.add(id);
      else this.visible.delete(id);
    }
    if (this.visible.size > before) this.#ask();
  }
}
