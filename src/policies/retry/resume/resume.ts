import type { BodyEnd, BodySink, ReplyBody } from '../../../http/reply.ts';
import { isResumable, ProxyError } from '../../../proxy/errors.ts';
import type { Policy } from '../../../proxy/pipeline.ts';
import { downloadOf } from './download.ts';
import { type Breakable, RestOfBody, type ResumeDeps } from './rest.ts';

/**
 * Continues a download that breaks in the middle: the client sees one body, byte for byte, or a broken one, never a
 * spliced one that the upstream did not vouch for. Each request for the rest is an attempt like others.
 */
export function resume(deps: ResumeDeps): Policy {
  return (next) => async (call, attempt) => {
    const reply = await next(call, attempt);
    const download = downloadOf(call, reply);
    if (download === undefined) return reply;
    return { ...reply, body: new ResumedBody(reply.body, { next, call, attempt, download }, deps) };
  };
}

const isMendable = (reason: Error | undefined): reason is ProxyError =>
  reason instanceof ProxyError && isResumable(reason);

/**
 * A body in parts, each from an attempt of its own, as one. It is the sink of the part that flows; nothing is kept, so
 * that a slow reader holds back whichever part that is.
 *
 * - flowing → waiting: the part broke and may be continued
 * - waiting → flowing: a 206 with the same strong ETag begins at the very next byte and reaches to the end
 * - flowing → ended: complete, discarded, or broken
 * - waiting → ended: no attempt or token is left, the client has gone, or what came is not the rest
 */
class ResumedBody implements ReplyBody, BodySink {
  readonly #first: ReplyBody;
  readonly #from: Breakable;
  readonly #rest: RestOfBody;
  readonly #listeners: Array<(end: BodyEnd) => void> = [];
  #sink: BodySink | undefined;
  #onDrain: (() => void) | undefined;
  #length: number;
  #at = 0;
  #end: BodyEnd | undefined;

  constructor(first: ReplyBody, from: Breakable, deps: ResumeDeps) {
    this.#first = first;
    this.#from = from;
    this.#rest = new RestOfBody(from, deps);
    this.#length = from.download.length;
  }

  // --- the side of whoever takes the body ---

  pipeTo(sink: BodySink): void {
    this.#sink = sink;
    sink.on('drain', () => this.#onDrain?.());
    this.#first.pipeTo(this);
  }

  discard(): void {
    this.#first.discard();
    this.#first.onEnd((end) => this.#finish(end));
  }

  onEnd(listener: (end: BodyEnd) => void): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else listener(this.#end);
  }

  // --- the side of the part that flows ---

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
    this.#finish('complete');
    this.#sink?.end();
  }

  /** The part broke. */
  destroy(reason?: Error): void {
    if (this.#end !== undefined) return;
    if (this.destroyed || this.#from.attempt.signal.aborted || !isMendable(reason)) this.#break(reason);
    else void this.#mend(reason);
  }

  // --- between two parts ---

  async #mend(broken: ProxyError): Promise<void> {
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
      rest.reply.body.pipeTo(this);
    } catch (bug) {
      // Half a body is out: whatever it was, all that can be done is to let the break be seen.
      this.#break(bug as Error);
    }
  }

  /** The client is to see that the body is not whole; one that has gone itself is no fault of the upstream's. */
  #break(reason: Error | undefined): void {
    this.#finish(this.#sink?.destroyed === true ? 'discarded' : 'broken');
    this.#sink?.destroy(reason);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const listener of this.#listeners.splice(0)) listener(end);
  }
}
