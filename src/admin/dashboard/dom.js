/* The only module that creates elements. Text is always inserted as text, so external text never becomes markup. */

/** @typedef {Node | string | number | undefined | false} Child */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Readonly<Record<string, unknown>>} [props] `on…` are listeners, `true` an empty attribute, undefined and false none.
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  apply(element, props);
  element.append(...shown(children));
  return element;
}

/**
 * @param {string} tag
 * @param {Readonly<Record<string, unknown>>} [props]
 * @param {...Child} children
 */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  apply(element, props);
  element.append(...shown(children));
  return element;
}

/** @param {readonly Child[]} children */
function shown(children) {
  return children
    .filter((child) => child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/**
 * @param {Element} element
 * @param {Readonly<Record<string, unknown>>} props
 */
function apply(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function')
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else element.setAttribute(name, value === true ? '' : `${/** @type {string | number} */ (value)}`);
  }
}

/** @param {string} id */
export function byId(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`there is no #${id}`);
  return element;
}

/**
 * @param {string} label
 * @param {() => void} onclick
 * @param {Readonly<Record<string, unknown>>} [more]
 */
export function button(label, onclick, more = {}) {
  return h('button', { type: 'button', onclick, 'data-focus': label, ...more }, label);
}

/** @param {string} status */
export function pill(status) {
  return h('span', { class: `pill is-${status}` }, status.replace('_', ' '));
}

/**
 * A relative time that is updated as time passes.
 * @param {string | undefined} moment
 * @param {'countdown' | 'ago'} how
 */
export function follows(moment, how) {
  if (moment === undefined) return h('span');
  return h('time', { datetime: moment, 'data-how': how, title: new Date(moment).toLocaleString() });
}

/** @type {WeakMap<Element, Map<string, { readonly shownContent: string, readonly node: HTMLElement }>>} */
const RENDERED = new WeakMap();

/**
 * Renders one child per item. Unchanged children stay, with their scroll position, selection and focus.
 * @template T
 * @param {Element} parent
 * @param {readonly T[]} items
 * @param {{ key: (item: T) => string, content: (item: T) => unknown, make: (item: T) => HTMLElement }} how `content`: all data that `make` shows.
 */
export function renderList(parent, items, { key, content, make }) {
  const before = RENDERED.get(parent) ?? new Map();
  const after = new Map();
  const focus = focusIn(parent, before);
  for (const item of items) {
    const shownContent = JSON.stringify(content(item));
    const old = before.get(key(item));
    const shown =
      old !== undefined && old.shownContent === shownContent ? old : { shownContent, node: make(item) };
    restoreOpened(old?.node, shown.node);
    after.set(key(item), shown);
  }
  RENDERED.set(parent, after);
  arrange(
    parent,
    [...after.values()].map(({ node }) => node),
  );
  // The focus never moves to another item, where a key press would act on the wrong request.
  const focused = focus && after.get(focus.key);
  if (focused !== undefined) refocus(focused.node, focus?.name ?? '');
}

/**
 * Opened details stay open.
 * @param {Element | undefined} from
 * @param {Element} to
 */
function restoreOpened(from, to) {
  if (from === undefined || from === to) return;
  const before = [...from.querySelectorAll('details')];
  for (const [i, one] of [...to.querySelectorAll('details')].entries()) if (before[i]?.open) one.open = true;
}

/**
 * Moves as few elements as possible, because a moved element loses its focus.
 * @param {Element} parent
 * @param {readonly HTMLElement[]} nodes
 */
function arrange(parent, nodes) {
  /** @type {Set<Element>} */
  const wanted = new Set(nodes);
  for (const child of Array.from(parent.children)) if (!wanted.has(child)) child.remove();
  for (const [i, node] of nodes.entries()) {
    const there = parent.children[i] ?? null;
    if (there !== node) parent.insertBefore(node, there);
  }
}

/**
 * The item with the focus, and the focused part of it.
 * @param {Element} parent
 * @param {ReadonlyMap<string, { readonly node: HTMLElement }>} rendered
 */
function focusIn(parent, rendered) {
  const active = document.activeElement;
  if (!(active instanceof HTMLElement) || !parent.contains(active)) return undefined;
  const entry = [...rendered].find(([, { node }]) => node.contains(active));
  return { key: entry?.[0] ?? '', name: active.dataset['focus'] ?? '' };
}

/**
 * @param {Element} where
 * @param {string} name
 */
function refocus(where, name) {
  if (where.contains(document.activeElement)) return;
  const found = [...where.querySelectorAll('[data-focus]')].find(
    (one) => one instanceof HTMLElement && one.dataset['focus'] === name,
  );
  if (found instanceof HTMLElement) found.focus({ preventScroll: true });
}

/**
 * Renders one child, which is replaced only if its content changes.
 * @param {Element} parent
 * @param {unknown} content
 * @param {() => HTMLElement} make
 */
export function renderOne(parent, content, make) {
  renderList(parent, [content], { key: () => 'only', content: (it) => it, make });
}

/**
 * A definition list. A line without a first value is omitted.
 * @param {readonly (readonly [name: string, ...what: Child[]])[]} lines
 */
export function facts(lines) {
  const there = lines.filter(([, first]) => first !== undefined && first !== false && first !== '');
  return h('dl', {}, ...there.flatMap(([name, ...what]) => [h('dt', {}, name), h('dd', {}, ...what)]));
}
