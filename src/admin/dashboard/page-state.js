/* What the page knows and looks at. The parts show it; what they are told to do comes back here. */

import { now } from './api.js';
import { confirmChange } from './confirm.js';
import { filtersOf, refreshInPlace, runningFirst, searchOf } from './filters.js';

/** @import { Attempt, Change, Monitor, RouteRow, Schedule, State } from './types.d.ts' */
/** @import { Filters } from './filters.js' */

/** What changes with each answer of the server, and whoever wants to know it. */
export class Page {
  /** @type {State | undefined} */
  state;
  /** @type {readonly RouteRow[]} */
  routes = [];
  /** @type {{ readonly requests: readonly Monitor[] }} */
  list = { requests: [] };
  /** The opened request, as its own monitor shows it. @type {Monitor | undefined} */
  opened;
  /** Undefined where the server knows none. @type {readonly Schedule[] | undefined} */
  schedules;
  /** @type {Filters} */
  filters = filtersOf(location.search);
  /** @type {Set<string>} */
  selected = new Set();
  allRecent = false;
  /** Ids of the lines that are on the screen. @type {Set<string>} */
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

  /** Path of the durable requests' interface; '' where no route is durable. */
  get prefix() {
    return this.state?.durable?.prefix ?? '';
  }

  /** The server's clock. */
  now() {
    return now();
  }

  /** @param {Monitor} monitor */
  attemptsOf({ id }) {
    return this.attempts.get(id)?.rows ?? [];
  }

  /** The lines stay where they are while somebody reads or selects. */
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
    // What is not in the list is shown above it.
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

  /** A line is on the screen now: its attempts are worth asking for. @param {HTMLElement} line */
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
