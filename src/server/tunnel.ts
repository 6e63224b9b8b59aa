import type { Socket } from 'node:net';
import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';

/** Once a side has finished, what is still on its way may take its time, but not stand still for this long. */
const STANDSTILL_MS = 10_000;

/** A peer that vanished without a word is found out by TCP, for no timeout of ours ends an idle tunnel. */
const PROBE_AFTER_MS = 60_000;

export interface TunnelOptions {
  readonly clock: Clock;
  /** Ends the tunnel at once. */
  readonly signal: Abort;
  /** The upstream's connection broke before either side had finished. */
  readonly onBroken: () => void;
  /** Once, when both connections are closed. */
  readonly onEnd: () => void;
}

/**
 * Two connections as one, byte for byte, each side held back by the other. Both come with a listener for 'error'; what
 * counts here is how they close.
 *
 * - open → finishing: a side sends FIN; it is passed on behind the bytes before it, and the way back stays open until
 *   the other side's FIN, or until nothing moves any more
 * - open | finishing → closed: both FINs are through; or a side breaks, or `signal` aborts: both are destroyed
 */
export class Tunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #options: TunnelOptions;
  #standstill: Timer | undefined;
  #closed = 0;

  constructor(client: Socket, upstream: Socket, options: TunnelOptions) {
    this.#client = client;
    this.#upstream = upstream;
    this.#options = options;
    options.signal.on(this.#cut);
    this.#join(client, upstream);
    this.#join(upstream, client);
    if (options.signal.aborted) this.#cut();
  }

  /** One side at least has come to its end in good order. */
  get finished(): boolean {
    return this.#client.readableEnded || this.#upstream.readableEnded;
  }

  #join(from: Socket, to: Socket): void {
    from.setKeepAlive(true, PROBE_AFTER_MS);
    from.setNoDelay(true);
    from.on('end', () => this.#watch(this.#moved()));
    from.on('close', () => this.#onClose(from, to));
    from.pipe(to);
  }

  #onClose(from: Socket, to: Socket): void {
    if (!this.finished && from === this.#upstream) this.#options.onBroken();
    if (from.readableEnded) {
      // The other side has its FIN. What it still sends has no taker, but its own FIN must be seen.
      to.unpipe(from);
      to.resume();
    } else {
      to.destroy();
    }
    if (++this.#closed < 2) return;
    this.#standstill?.cancel();
    this.#options.signal.off(this.#cut);
    this.#options.onEnd();
  }

  #watch(moved: string): void {
    this.#standstill?.cancel();
    this.#standstill = this.#options.clock.timer(STANDSTILL_MS, () => {
      const now = this.#moved();
      if (now === moved) this.#cut();
      else this.#watch(now);
    });
  }

  /** Differs after every byte that came in or went out; once a side is closed, what comes in has no taker and does not count. */
  #moved(): string {
    const sides = [this.#client, this.#upstream];
    return sides
      .map(({ bytesRead, writableLength }) => `${this.#closed === 0 ? bytesRead : 0}+${writableLength}`)
      .join();
  }

  readonly #cut = (): void => {
    this.#client.destroy();
    this.#upstream.destroy();
  };
}
