import { MinRate } from '../../http/bodies/min-rate.ts';
import type { BodyReader, BodySource, RequestBody, WholeBody } from '../../http/bodies/request-body.ts';
import { headerOf } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';

/** An upload is slow if it brings less than this in two checks in a row while its upstream waits. */
const SLOW_BYTES_PER_SECOND = 16 * 1024;
const CHECK_MS = 1_000;

export interface SlowUploadOptions {
  readonly clock: Clock;
  /** Called once, if the upload is slow. */
  readonly onSlow: () => void;
  /** Resolves when the end of the upload may be sent; rejects if it may not. */
  readonly mayEnd: () => Promise<void>;
}

/**
 * The body of one attempt while its client still sends it. It reports a client that keeps the upstream waiting. It holds the last
 * bytes back until `mayEnd` resolves, because the upstream starts to work after them.
 */
export class SlowUpload implements RequestBody {
  readonly #body: RequestBody;
  readonly #declaredBytes: number;
  readonly #options: SlowUploadOptions;
  readonly #rate = new MinRate(SLOW_BYTES_PER_SECOND, CHECK_MS, 0);
  #timer: Timer | undefined;
  #passed = 0;
  #awaited = false;
  #closed = false;
  /** When the last bytes were released; Infinity while they are held back. */
  #heldUntil = Number.NEGATIVE_INFINITY;

  constructor({ body, headers }: Pick<Call, 'body' | 'headers'>, options: SlowUploadOptions) {
    this.#body = body;
    this.#declaredBytes = Number(headerOf(headers, 'content-length') ?? Number.POSITIVE_INFINITY);
    this.#options = options;
  }

  get replayable(): boolean {
    return this.#body.replayable;
  }

  get arriving(): boolean {
    return this.#body.arriving;
  }

  /** The time in which the last bytes are held back does not count as the upstream's. */
  broughtOnAt(now: number): number {
    return Math.max(this.#body.broughtOnAt(now), Math.min(now, this.#heldUntil));
  }

  open(): BodySource {
    const source = this.#body.open();
    if (source === undefined || !('close' in source)) return source;
    this.#timer ??= this.#options.clock.timer(CHECK_MS, this.#check);
    const close = () => {
      this.#closed = true;
      source.close();
    };
    return { close, [Symbol.asyncIterator]: () => this.#read(source) };
  }

  whole(): WholeBody | Promise<WholeBody> {
    return this.#body.whole();
  }

  /** Stops the checks of this attempt. The body belongs to the call. */
  dispose(): void {
    this.#timer?.cancel();
  }

  async *#read(source: BodyReader): AsyncGenerator<Buffer, undefined> {
    this.#awaited = true;
    for await (const chunk of source) {
      this.#awaited = false;
      this.#passed += chunk.length;
      // With a known length, the last byte is the end.
      if (this.#passed >= this.#declaredBytes) await this.#end();
      yield chunk;
      this.#awaited = true;
    }
    this.#awaited = false;
    if (!this.#closed) await this.#end();
  }

  async #end(): Promise<void> {
    this.#heldUntil = Number.POSITIVE_INFINITY;
    try {
      await this.#options.mayEnd();
    } finally {
      this.#heldUntil = this.#options.clock.now();
    }
  }

  readonly #check = (): void => {
    if (this.#rate.tooSlow(this.#passed, this.#awaited)) return this.#options.onSlow();
    this.#timer = this.#options.clock.timer(CHECK_MS, this.#check);
  };
}
