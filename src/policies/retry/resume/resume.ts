import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  isFailedEnd,
  type ReplyBody,
  tellEnd,
} from '../../../http/reply.ts';
import { isResumable, ProxyError } from '../../../proxy/errors.ts';
import type { Wrapper } from '../../../proxy/pipeline.ts';
import { downloadOf } from './download.ts';
import { type Breakable, RestOfBody, type ResumeDeps } from './rest.ts';

/**
 * Continues a download that breaks in the middle. The client receives one body, byte for byte, or a broken one. Parts are
 * joined only if a strong ETag shows that they belong together. Each request for the rest is an attempt like others.
 */
export function resume(deps: ResumeDeps): Wrapper {
  return (next) => async (call, attempt) => {
    const hedgesBefore = attempt.tally?.hedges ?? 0;
    const reply = await next(call, attempt);
    const download = downloadOf(call, reply);
    if (download === undefined) return reply;
    return {
      ...reply,
      body: new ResumedBody(reply.body, { next, call, attempt, download, hedgesBefore }, deps),
    };
  };
}

const canResume = (reason: Error | undefined): reason is ProxyError =>
  reason instanceof ProxyError && isResumable(reason);

/**
 * Joins the parts of a body, each from an attempt of its own. Buffers nothing, so a slow client holds back the current part.
 *
 * - flowing → waiting: the part broke and may be continued
 * - waiting → flowing: a 206 with the same strong ETag begins at the very next byte and reaches to the end
 * - flowing → ended: complete, discarded, or broken
 * - waiting → ended: no attempt or token is left, the client has left, or the reply is not the rest
 */
class ResumedBody implements ReplyBody, BodySink {
  /** The body of the current part. */
  #part: ReplyBody;
  readonly #from: Breakable;
  readonly #rest: RestOfBody;
  readonly #listeners: EndListener[] = [];
  #sink: BodySink | undefined;
  #onDrain: (() => void) | undefined;
  #length: number;
  #at = 0;
  #end: BodyEnd | undefined;
  /** The failure that events of the stream have reported. */
  #said: BodyEnd = 'complete';

  constructor(first: ReplyBody, from: Breakable, deps: ResumeDeps) {
    this.#part = first;
    this.#from = from;
    this.#rest = new RestOfBody(from, deps);
    this.#length = from.download.length;
    first.onEnd((end) => {
      if (isFailedEnd(end)) this.#said = end;
    });
  }

  // --- the reader's side ---

  pipeTo(sink: BodySink): void {
    this.#sink = sink;
    sink.on('drain', () => this.#onDrain?.());
    this.#part.pipeTo(this);
  }

  discard(): void {
    this.#part.discard();
    this.#part.onEnd((end) => this.#finish(end));
  }

  abort(reason: Error): void {
    this.#part.abort?.(reason);
  }

  onEnd(listener: EndListener): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else tellEnd(listener, this.#end);
  }

  // --- the current part's side ---

  get destroyed(): boolean {
    return this.#end !== undefined || this.#sink?.destroyed === true;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#at + chunk.length > this.#length) {
      this.#break(new ProxyError('protocol_error', 'the body is longer than its Content-Range'));
      return true;
    }
    this.#at += chunk.length;
    return this.#sink?.write(chunk) === true;
  }

  addTrailers(trailers: readonly [name: string, value: string][]): void {
    this.#sink?.addTrailers?.(trailers);
  }

  on(_event: 'drain', listener: () => void): void {
    this.#onDrain = listener;
  }

  end(): void {
    if (this.#length !== Infinity && this.#at < this.#length) {
      return this.destroy(
        new ProxyError('response_incomplete', 'the body is shorter than its Content-Range'),
      );
    }
    this.#finish(this.#said);
    this.#sink?.end();
  }

  /** The part broke. */
  destroy(reason?: Error): void {
    if (this.#end !== undefined) return;
    if (this.destroyed || this.#from.attempt.signal.aborted || !canResume(reason)) this.#break(reason);
    else void this.#resume(reason);
  }

  // --- between two parts ---

  async #resume(broken: ProxyError): Promise<void> {
    const { journal } = this.#from.call;
    try {
      const rest = await this.#rest.ask(this.#at, broken);
      if ('denial' in rest) {
        journal.bodyBroke(this.#at);
        journal.note('resume_denied', rest.denial);
        return this.#break(broken);
      }
      journal.note('resumed', 'resumed');
      this.#length = rest.length;
      this.#part = rest.reply.body;
      this.#part.pipeTo(this);
    } catch (bug) {
      // Half of the body is sent. Breaking it is the only way to show the client that it is incomplete.
      this.#break(bug as Error);
    }
  }

  /** Breaks the client's body, so that the client sees it as incomplete. A client that left is not counted against the upstream. */
  #break(reason: Error | undefined): void {
    this.#finish(this.#sink?.destroyed === true ? 'discarded' : 'broken');
    this.#sink?.destroy(reason);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const listener of this.#listeners.splice(0)) tellEnd(listener, end);
  }
}
