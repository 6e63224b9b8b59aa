import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../runtime/clock.ts';
import { outliveStreams } from '../runtime/http2-handles.ts';
import type { Handler, Request } from './handler.ts';
import { Http2Exchange, type StreamOwner } from './http2-exchange.ts';

export interface Http2ConnectionOptions {
  readonly origin: URL;
  readonly clock: Clock;
  readonly keepAliveMs: number;
  readonly maxAgeMs: number;
  /** Time for the answer to a PING, in milliseconds. */
  readonly pingTimeoutMs: number;
  /** Called when the capacity changes or the connection closes, so that waiting requests can be dispatched. */
  readonly onChange: () => void;
  readonly onHttp1Required: () => void;
}

/** Streams per connection. More requests use another connection, so that one lost packet does not delay them all. */
const MAX_STREAMS = 100;

/**
 * Fields in a reply head, pseudo-fields included. Node resets a stream with more; its default is 128. HTTP/1.1 bounds only
 * the bytes, and its bound is reached before this number.
 */
const MAX_HEADER_PAIRS = 4_096;

/** The flow-control window of a stream, as in undici: enough for 100 Mbit/s at 20 ms. */
const WINDOW_BYTES = 256 * 1024;

/**
 * One HTTP/2 connection with many streams. It takes no new requests, and closes after the last one, once it is too old, has
 * been idle, or received GOAWAY. An unanswered PING destroys it.
 */
export class Http2Connection implements StreamOwner {
  readonly session: ClientHttp2Session;
  lastStreamId = Number.POSITIVE_INFINITY;
  readonly #options: Http2ConnectionOptions;
  readonly #openedAt: number;
  #streams = 0;
  /** Whether SETTINGS have arrived. Before that, the upstream's stream limit is not known. */
  #settingsReceived = false;
  #retired = false;
  #idle: Timer | undefined;
  #ping: Timer | undefined;

  constructor(socket: Socket, options: Http2ConnectionOptions) {
    this.#options = options;
    this.#openedAt = options.clock.now();
    const session = connect(options.origin, {
      createConnection: () => socket,
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.session = session;
    outliveStreams(session);
    session.on('remoteSettings', () => {
      this.#settingsReceived = true;
      options.onChange();
    });
    session.on('goaway', (_code, lastStreamId) => {
      this.lastStreamId = Math.min(this.lastStreamId, lastStreamId);
      this.retire();
    });
    // Each stream gets the error too.
    session.on('error', () => undefined);
    session.on('close', () => {
      this.#retired = true;
      this.#idle?.cancel();
      this.#ping?.cancel();
      options.onChange();
    });
  }

  get closed(): boolean {
    return this.session.destroyed;
  }

  /** Whether another request can be sent now. */
  get hasCapacity(): boolean {
    const { clock, maxAgeMs } = this.#options;
    if (!this.#retired && clock.now() - this.#openedAt > maxAgeMs) this.retire();
    if (this.#retired || this.#ping !== undefined || this.session.closed || this.closed) return false;
    const allowed = this.#settingsReceived
      ? (this.session.remoteSettings.maxConcurrentStreams ?? MAX_STREAMS)
      : 1;
    return this.#streams < Math.min(allowed, MAX_STREAMS);
  }

  /** Whether capacity is expected soon without the end of a stream. */
  get awaitsSettings(): boolean {
    return !this.#settingsReceived && !this.#retired && !this.closed;
  }

  dispatch(request: Request, handler: Handler): void {
    this.#idle?.cancel();
    this.#streams++;
    if (!new Http2Exchange(this, handler).start(request, this.#options.origin)) this.streamClosed();
  }

  /** Takes no new requests. Running ones continue. */
  retire(): void {
    this.#retired = true;
    if (!this.session.closed && !this.closed) this.session.close();
  }

  // --- the exchanges' side ---

  streamClosed(): void {
    this.#streams--;
    const { clock, keepAliveMs, onChange } = this.#options;
    onChange();
    if (this.#streams > 0 || this.#retired) return;
    this.#idle?.cancel();
    this.#idle = clock.timer(keepAliveMs, () => this.retire());
  }

  checkAlive(): void {
    if (this.#ping !== undefined || this.#retired || this.closed) return;
    const { clock, pingTimeoutMs, onChange } = this.#options;
    this.#ping = clock.timer(pingTimeoutMs, () => this.session.destroy());
    this.session.ping(() => {
      this.#ping?.cancel();
      this.#ping = undefined;
      onChange();
    });
  }

  http1Required(): void {
    this.#options.onHttp1Required();
  }
}
