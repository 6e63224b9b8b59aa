/* The state of the page. The views show it and call its methods. */

import { addressOf, searchFor } from './address.js';
import { now } from './api.js';
import { confirmChange } from './confirm.js';
import { refreshInPlace, runningFirst } from './filters.js';

/** @import { Attempt, CallGroup, Change, Monitor, RouteRow, Schedule, State } from './types.d.ts' */
/** @import { Address } from './address.js' */
/** @import { Filters } from './filters.js' */

/** The loaded data, the address and the selection. */
export class Page {
  /** @type {State | undefined} */
  state;
  /** @type {readonly CallGroup[]} */
  calls = [];
  /** Groups whose calls are asked for. @type {Set<string>} */
  openGroups = new Set();
  /** Groups that a search has opened, and that were closed again. @type {Set<string>} */
  closedGroups = new Set();
  /** Calls with their details. @type {Set<string>} */
  openCalls = new Set();
  /** The group of which all calls are shown. */
  allOf = '';
  /** @type {readonly RouteRow[]} */
  routes = [];
  /** @type {{ readonly requests: readonly Monitor[] }} */
  list = { requests: [] };
  /** The cursor of the next page of the list; undefined on the last one. @type {string | undefined} */
  next;
  /** The cursors of the pages before this one, and of this one; '' is the first. */
  cursors = [''];
  /** The open request. @type {Monitor | undefined} */
  opened;
  /** Undefined if the server has none. @type {readonly Schedule[] | undefined} */
  schedules;
  /** @type {Address} */
  address = addressOf(location.search);
  /** @type {Set<string>} */
  selected = new Set();
  /** Ids of the visible lines. @type {Set<string>} */
  visible = new Set();
  /** @type {Map<string, { readonly version: string, readonly rows: readonly Attempt[] }>} */
  attempts = new Map();
  #show;
  #ask;
  #redraw;
  #intersections;

  /** @param {{ show: () => void, ask: () => void, redraw: () => void }} hooks `ask`: the server, at once. `redraw`: the charts. */
  constructor({ show, ask, redraw }) {
    this.#show = show;
    this.#ask = ask;
    this.#redraw = redraw;
    this.#intersections = new IntersectionObserver((entries) => this.#seen(entries));
    addEventListener('popstate', () => {
      this.address = addressOf(location.search);
      this.#forget();
      this.#show();
      this.#ask();
    });
  }

  #forget() {
    this.list = { requests: [] };
    this.cursors = [''];
    this.selected.clear();
  }

  /** Filters of the durable requests. */
  get filters() {
    return this.address.filters;
  }

  /** Shows another view or other filters. @param {Partial<Address>} change */
  go(change) {
    this.address = { ...this.address, ...change };
    history.pushState(null, '', `${location.pathname}${searchFor(this.address)}`);
    this.#show();
    this.#ask();
  }

  redraw() {
    this.#redraw();
  }

  /** Opens or closes a group of calls. @param {string} key */
  openGroup(key) {
    const open = this.calls.some((group) => group.key === key && group.calls !== undefined);
    if (open && !this.closedGroups.has(key)) {
      this.openGroups.delete(key);
      this.closedGroups.add(key);
    } else {
      this.openGroups.add(key);
      this.closedGroups.delete(key);
    }
    this.#show();
    this.#ask();
  }

  /** @param {string} key */
  openCall(key) {
    if (!this.openCalls.delete(key)) this.openCalls.add(key);
    this.#show();
  }

  /** @param {string} key */
  showAllOf(key) {
    this.allOf = key;
    this.#show();
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
    this.#forget();
    this.go({ view: 'durable', filters: { ...this.filters, id: '', ...change } });
  }

  /** @param {string} id '' for none. */
  open(id) {
    const away = this.address.view !== 'durable';
    this.go({ view: 'durable', filters: { ...this.filters, id } });
    // A request that is not in the list is shown above it.
    if (id !== '' && (away || !this.list.requests.some((one) => one.id === id))) scrollTo({ top: 0 });
  }

  /** Shows another page of the list. @param {readonly string[]} cursors */
  turn(cursors) {
    this.#forget();
    this.cursors = [...cursors];
    this.#show();
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
