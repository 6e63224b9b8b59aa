import { type BodyEnd, type BodySink, type EndListener, type ReplyBody, tellEnd } from '../http/reply.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';

/** The body of an event stream that the simulated upstream writes. It breaks like a real one: by its attempt, or after a long silence. */
export class SimulatedStream implements ReplyBody {
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  readonly #listeners: EndListener[] = [];
  #written = '';
  #complete = false;
  #sink: BodySink | undefined;
  #idle: Timer | undefined;
  #end: BodyEnd | undefined;

  constructor(clock: Clock, signal: Abort, idleTimeoutMs: number) {
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
    signal.on(() => this.abort(signal.reason as Error));
  }

  /** Whether a reader still waits for more. */
  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** The whole content, once. */
  write(text: string): void {
    this.#written = text;
    this.#complete = true;
    this.#flow();
  }

  pipeTo(sink: BodySink): void {
    this.#sink = sink;
    const silence = () => new ProxyError('idle_timeout', 'simulated', { sent: 'sent_unknown' });
    this.#idle = this.#clock.timer(this.#idleTimeoutMs, () => this.abort(silence()));
    this.#flow();
  }

  discard(): void {
    this.#finish('discarded');
  }

  abort(reason: Error): void {
    if (this.#end !== undefined) return;
    this.#finish('broken');
    this.#sink?.destroy(reason);
  }

  onEnd(listener: EndListener): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else tellEnd(listener, this.#end);
  }

  #flow(): void {
    if (this.#sink === undefined || !this.#complete || this.#end !== undefined) return;
    this.#sink.write(Buffer.from(this.#written));
    this.#finish('complete');
    this.#sink.end();
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#idle?.cancel();
    for (const listener of this.#listeners) tellEnd(listener, end);
  }
}
