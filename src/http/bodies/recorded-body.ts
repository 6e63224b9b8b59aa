import type { Abort } from '../../runtime/abort.ts';
import type { ByteBudget } from '../byte-budget.ts';
import type { BodySink, EndListener, ReplyBody, Trailers } from '../reply.ts';
import { BodyBuffer } from './body-buffer.ts';

/** The content of a complete body. */
export interface Recording {
  readonly chunks: readonly Uint8Array[];
  readonly trailers: Trailers;
}

export interface RecorderOptions {
  readonly maxBytes: number;
  /** The memory of all buffered bodies. */
  readonly memory: ByteBudget;
  /** The client's signal. Recording continues after it is aborted. */
  readonly client: Abort;
  /** Called once, with the body if it was complete and small enough. */
  readonly onDone: (recording: Recording | undefined) => void;
}

/** Records a body while it streams to the client, and to its end if the client disconnects. */
export class RecordedBody implements ReplyBody, BodySink {
  readonly #body: ReplyBody;
  readonly #options: RecorderOptions;
  #sink: BodySink | undefined;
  #log: BodyBuffer | undefined;
  #trailers: Trailers = [];
  #drain: (() => void) | undefined;
  #done = false;

  constructor(body: ReplyBody, options: RecorderOptions) {
    this.#body = body;
    this.#options = options;
    this.#log = new BodyBuffer(options.memory);
    options.client.on(this.#onClientGone);
    body.onEnd((end) => {
      if (end !== 'complete') this.#finish(undefined);
    });
  }

  // --- the client's side ---

  pipeTo(sink: BodySink): void {
    this.#sink = sink;
    this.#body.pipeTo(this);
  }

  /** Continues recording without a client, for a repetition of the request. */
  discard(): void {
    if (this.#log === undefined) this.#body.discard();
    else this.#body.pipeTo(this);
  }

  onEnd(listener: EndListener): void {
    this.#body.onEnd(listener);
  }

  // --- the upstream's side ---

  get destroyed(): boolean {
    return this.#log === undefined && this.#client === undefined;
  }

  write(chunk: Uint8Array): boolean {
    this.#record(chunk);
    return this.#client?.write(chunk) ?? true;
  }

  addTrailers(trailers: Trailers): void {
    this.#trailers = trailers;
    this.#client?.addTrailers?.(trailers);
  }

  end(): void {
    const chunks = this.#log?.chunks();
    this.#finish(chunks && { chunks, trailers: this.#trailers });
    this.#client?.end();
  }

  destroy(reason?: Error): void {
    this.#finish(undefined);
    this.#sink?.destroy(reason);
  }

  on(event: 'drain', listener: () => void): void {
    this.#drain = listener;
    this.#sink?.on(event, listener);
  }

  #record(chunk: Uint8Array): void {
    if (this.#log === undefined) return;
    const fits = this.#log.bytes + chunk.length <= this.#options.maxBytes;
    if (!fits || !this.#log.tryAdd(chunk)) this.#finish(undefined);
  }

  get #client(): BodySink | undefined {
    return this.#sink?.destroyed === false ? this.#sink : undefined;
  }

  /** Resumes the upstream, because a client that has disconnected during back-pressure never drains. */
  readonly #onClientGone = (): void => this.#drain?.();

  #finish(recording: Recording | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.#log?.release();
    this.#log = undefined;
    this.#options.client.off(this.#onClientGone);
    this.#options.onDone(recording);
  }
}
