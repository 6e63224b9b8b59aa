/* The state of the proxy as it changes: one message a second over a stream of server-sent events. */

import { Refused, stream } from './api.js';

/** @import { State, Upstream } from './types.d.ts' */

/** Without a message for this long, the proxy counts as unreachable: it sends one a second. */
const SILENT_MS = 5_000;

const AGAIN_MS = 2_000;

/** @typedef {Omit<State, 'upstreams'> & { readonly upstreams: readonly Upstream[], readonly names?: readonly string[] }} Message */

/**
 * @typedef {object} Listener
 * @property {(state: State) => void} state
 * @property {(error: unknown) => void} trouble
 */

/** Follows the state while the page is visible, and connects again after an error. */
export class Live {
  #listener;
  /** @type {AbortController | undefined} */
  #running;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Map<string, Upstream>} */
  #upstreams = new Map();
  /** @type {readonly string[]} */
  #names = [];

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** Connects now, unless it is connected. */
  start() {
    clearTimeout(this.#timer);
    if (this.#running === undefined) void this.#follow();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = undefined;
  }

  async #follow() {
    const abort = new AbortController();
    this.#running = abort;
    this.#upstreams.clear();
    try {
      await this.#read(abort);
      throw new Refused(0, 'the stream has ended');
    } catch (error) {
      if (this.#running !== abort) return;
      abort.abort();
      this.#running = undefined;
      this.#listener.trouble(error);
      // A wrong token stays wrong until another one is given.
      if (!(error instanceof Refused && error.status === 401))
        this.#timer = setTimeout(() => this.start(), AGAIN_MS);
    }
  }

  /** @param {AbortController} abort */
  async #read(abort) {
    const silent = () => abort.abort(new Error('no message'));
    let timer = setTimeout(silent, SILENT_MS);
    try {
      let text = '';
      for await (const chunk of stream('/api/live', abort.signal)) {
        clearTimeout(timer);
        timer = setTimeout(silent, SILENT_MS);
        const parts = `${text}${chunk}`.split('\n\n');
        text = parts.pop() ?? '';
        for (const part of parts) this.#take(part);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {string} part One message of the stream. */
  #take(part) {
    const data = part
      .split('\n')
      .filter((line) => line.startsWith('data: '))
      .map((line) => line.slice('data: '.length))
      .join('\n');
    if (data === '') return;
    /** @type {Message} */
    const { upstreams, names, ...rest } = JSON.parse(data);
    for (const upstream of upstreams) this.#upstreams.set(upstream.name, upstream);
    this.#names = names ?? this.#names;
    const all = this.#names.flatMap((name) => this.#upstreams.get(name) ?? []);
    this.#listener.state({ ...rest, upstreams: all });
  }
}
