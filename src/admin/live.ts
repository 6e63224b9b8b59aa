import type { ServerResponse } from 'node:http';
import type { AdminDeps } from './deps.ts';
import { AdminProblem } from './response.ts';
import { stateJson } from './state.ts';

export const LIVE_PATH = '/api/live';

/** Interval of the messages. */
const EVERY_MS = 1_000;

/** Open streams. Each open page has one. */
const MOST_STREAMS = 32;

/** A page that has not read for this many messages has left or sleeps. Its place is freed, and it connects again. */
const MOST_UNREAD = 60;

/** The state as it is at one moment, by upstream, so that only changes are sent. */
interface Sent {
  names: string;
  readonly upstreams: Map<string, string>;
}

/**
 * Streams of the state as server-sent events (HTML §9.2), one message a second: `state` has everything but the upstreams that have
 * not changed since the message before. `names` has all upstreams in order, if they have changed.
 */
export class Live {
  readonly #deps: AdminDeps;
  #streams = 0;

  constructor(deps: AdminDeps) {
    this.#deps = deps;
  }

  /** Throws 503 if there are too many streams. */
  open(res: ServerResponse): void {
    if (this.#streams >= MOST_STREAMS)
      throw new AdminProblem(503, `${MOST_STREAMS} pages are open, which is the limit; close one`);
    this.#streams++;
    res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      // Asks nginx and its like not to buffer the stream.
      'x-accel-buffering': 'no',
    });
    const sent: Sent = { names: '', upstreams: new Map() };
    let unread = 0;
    const tick = () => {
      timer = this.#deps.clock.timer(EVERY_MS, tick);
      try {
        // A page that does not read gets the next message later. It then has all that has changed.
        if (res.writableNeedDrain) unread++;
        else {
          unread = 0;
          res.write(this.#message(sent));
        }
        if (unread >= MOST_UNREAD) res.destroy();
      } catch (error) {
        this.#deps.logger.error({ error, path: LIVE_PATH }, 'admin response failed: a bug');
        res.destroy();
      }
    };
    let timer = this.#deps.clock.timer(EVERY_MS, tick);
    res.write(this.#message(sent));
    res.once('close', () => {
      this.#streams--;
      timer.cancel();
    });
  }

  #message(sent: Sent): string {
    const { upstreams, ...state } = stateJson(this.#deps);
    const names = JSON.stringify(upstreams.map(({ name }) => name));
    const changed = upstreams.flatMap((upstream) => {
      const shown = JSON.stringify(upstream);
      if (sent.upstreams.get(upstream.name) === shown) return [];
      sent.upstreams.set(upstream.name, shown);
      return [shown];
    });
    const newNames = names === sent.names ? '' : `,"names":${names}`;
    if (newNames !== '') {
      const present = new Set(upstreams.map(({ name }) => name));
      for (const name of sent.upstreams.keys()) if (!present.has(name)) sent.upstreams.delete(name);
    }
    sent.names = names;
    const rest = JSON.stringify(state).slice(1, -1);
    return `event: state\ndata: {${rest},"upstreams":[${changed.join()}]${newNames}}\n\n`;
  }
}
