import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../runtime/clock.ts';
import { outliveStreams } from '../runtime/http2-handles.ts';
import { type Carrier, type Handler, Http2Exchange, type Request } from './http2-exchange.ts';

export interface Http2ConnectionOptions {
  readonly origin: URL;
  readonly clock: Clock;
  readonly keepAliveMs: number;
  readonly maxAgeMs: number;
  /** How long a silent upstream may take to answer a PING. */
  readonly pingTimeoutMs: number;
  /** Requests may be waiting, and there may be room for them, here or nowhere. */
  readonly onChange: () => void;
  readonly onHttp1Required: () => void;
}

/** More at once go on another connection, so that one lost packet does not hold all of them up. */
const MAX_STREAMS = 100;

/**
 * Pairs of a reply's head, its status too. Node's default is 128, and it resets a stream that has more. By HTTP/1.1 the bytes
 * alone are bounded; so many fields need more of them.
 */
const MAX_HEADER_PAIRS = 4_096;

/** undici's, which keeps a stream of 100 Mbit/s going over 20 ms. */
const WINDOW_BYTES = 256 * 1024;

/**
 * One connection that carries many requests. It takes no more of them (and closes after the last) once it is too old, has
 * idled, was told to go away, or leaves a PING unanswered.
 */
export class Http2Connection implements Carrier {
  readonly session: ClientHttp2Session;
  lastStreamId = Number.POSITIVE_INFINITY;
  readonly #options: Http2ConnectionOptions;
  readonly #bornAt: number;
  #streams = 0;
  /** Its settings are here: until then it is not known how many streams the upstream allows. */
  #met = false;
  #retired = false;
  #idle: Timer | undefined;
  #ping: Timer | undefined;

  constructor(socket: Socket, options: Http2ConnectionOptions) {
    this.#options = options;
    this.#bornAt = options.clock.now();
    const session = connect(options.origin, {
      createConnection: () => socket,
      maxHeaderListPairs: MAX_HEADER_PAIRS,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.session = session;
    outliveStreams(session);
    session.on('remoteSettings', () => {
      this.#met = true;
      options.onChange();
    });
    session.on('goaway', (_code, lastStreamId) => {
      this.lastStreamId = Math.min(this.lastStreamId, lastStreamId);
      this.retire();
    });
    // Each stream is told of it too.
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

  /** Whether another request may be sent here now. */
  get room(): boolean {
    const { clock, maxAgeMs } = this.#options;
    if (!this.#retired && clock.now() - this.#bornAt > maxAgeMs) this.retire();
    if (this.#retired || this.#ping !== undefined || this.session.closed || this.closed) return false;
    const allowed = this.#met ? (this.session.remoteSettings.maxConcurrentStreams ?? MAX_STREAMS) : 1;
    return this.#streams < Math.min(allowed, MAX_STREAMS);
  }

  /** Whether there will be room without any stream having to end. */
  get meeting(): boolean {
    return !this.#met && !this.#retired && !this.closed;
  }

  dispatch(request: Request, handler: Handler): void {
    this.#idle?.cancel();
    this.#streams++;
    if (!new Http2Exchange(this, handler).start(request, this.#options.origin)) this.released();
  }

  /** What runs here may end; nothing new begins. */
  retire(): void {
    this.#retired = true;
    if (!this.session.closed && !this.closed) this.session.close();
  }

  // --- the exchanges' side ---

  released(): void {
    this.#streams--;
    const { clock, keepAliveMs, onChange } = this.#options;
    onChange();
    if (this.#streams > 0 || this.#retired) return;
    this.#idle?.cancel();
    this.#idle = clock.timer(keepAliveMs, () => this.retire());
  }

  suspect(): void {
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
