import type { Socket } from 'node:net';
import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';

/** After one side has finished, the tunnel is closed if no byte moves for this long. */
const STANDSTILL_MS = 10_000;

/** Idle time before TCP keep-alive probes. Only they detect a vanished peer, because an idle tunnel has no timeout. */
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
 * Joins two connections byte for byte, with back-pressure. Both must have a listener for 'error'.
 *
 * - open → finishing: one side sends FIN, which is forwarded after its bytes. The other direction stays open until its own
 *   FIN, or until no byte moves.
 * - open | finishing → closed: both FINs were forwarded. If a side breaks or `signal` aborts, both are destroyed.
 */
export class Tunnel {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #options: TunnelOptions;
  #standstill: Timer | undefined;
  #closed = 0;
  /** Bytes that both connections had sent before the tunnel. */
  readonly #before: { readonly client: number; readonly upstream: number };

  constructor(client: Socket, upstream: Socket, options: TunnelOptions) {
    this.#client = client;
    this.#upstream = upstream;
    this.#options = options;
    this.#before = { client: client.bytesWritten, upstream: upstream.bytesWritten };
    options.signal.on(this.#cut);
    this.#join(client, upstream);
    this.#join(upstream, client);
    if (options.signal.aborted) this.#cut();
  }

  /** Whether at least one side has ended with a FIN. */
  get finished(): boolean {
    return this.#client.readableEnded || this.#upstream.readableEnded;
  }

  /** Bytes from the client to the upstream. */
  get bytesIn(): number {
    return this.#upstream.bytesWritten - this.#before.upstream;
  }

  /** Bytes from the upstream to the client. */
  get bytesOut(): number {
    return this.#client.bytesWritten - this.#before.client;
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
      // The other side has the FIN. Its bytes have no receiver, but they are read until its own FIN.
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

  /** Changes with every byte that moves. After one side has closed, received bytes have no receiver and do not count. */
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
