import { BodyBuffer } from '../../http/bodies/body-buffer.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { EventListener, EventReader, StreamEvent } from '../../http/event-stream/event.ts';
import { eventReader } from '../../http/event-stream/reader.ts';
import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  type HeldBackListener,
  type Reply,
  type ReplyBody,
  tellEnd,
  type Trailers,
} from '../../http/reply.ts';
import { isUnwell } from '../../http/status.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import { errorRuleMeaning, type StreamResult } from '../../proxy/notes.ts';
import type { Receiver } from '../../proxy/pipeline.ts';
import { appended } from '../../runtime/appended.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { ErrorEvent, EventMatcher } from './event-matcher.ts';
import type { StreamOptions } from './options.ts';
import { Progress } from './progress.ts';
import { resultOf } from './result.ts';

/**
 * The largest event whose data is compared with rules. Most errors and ends are far smaller, but those of OpenAI's responses repeat
 * the instructions and tools of the request.
 */
const MAX_EVENT_BYTES = 256 * 1024;

export interface StreamDeps {
  readonly clock: Clock;
  /** Bounds the memory of buffered bodies. */
  readonly memory: ByteBudget;
}

export interface StreamContext extends StreamDeps {
  readonly options: StreamOptions;
  readonly matcher: EventMatcher;
}

/** The attempt that a stream answers. */
export interface SentAttempt {
  readonly call: Call;
  readonly attempt: Attempt;
  /** Gets the reply with the first event, or the failure before it. */
  readonly receiver: Receiver;
  readonly startedAt: number;
}

/**
 * The body of an event stream, from the upstream's head to its end:
 *
 * - waiting → flowing: a meaningful event, an error event (the reply then has the status of its rule), more bytes than may be held,
 *   or bytes that cannot be read
 * - waiting → over: no event in time, a break, or an end. The attempt has failed.
 * - flowing → over: complete, failed, discarded or broken
 *
 * The bytes of a waiting stream are held and released in one write. Later ones are passed on first and read then.
 */
export class StreamBody implements ReplyBody, BodySink, EventListener {
  readonly #sent: SentAttempt;
  readonly #context: StreamContext;
  readonly #reply: Reply;
  readonly #body: ReplyBody;
  readonly #held: BodyBuffer;
  /** The chunk that is being read. It is held only if no event in it brings a client. */
  #latest: Uint8Array | undefined;
  readonly #progress: Progress;
  #reader: EventReader | undefined;
  #waiting = true;
  #done = false;
  /** The first error event after the first event. */
  #error: ErrorEvent | undefined;
  #sink: BodySink | undefined;
  #resume: (() => void) | undefined;
  #onHeldBack: HeldBackListener | undefined;
  #sinkFull = false;
  #readerFull = false;
  #memoryFull = false;
  #timer: Timer | undefined;
  #trailers: Trailers | undefined;
  #discarded = false;
  /** All bytes have arrived. */
  #arrived = false;
  #end: BodyEnd | undefined;
  #broken: Error | undefined;
  #reported = false;
  #listeners: readonly EndListener[] | undefined;

  constructor(reply: Reply, sent: SentAttempt, context: StreamContext) {
    this.#sent = sent;
    this.#context = context;
    this.#reply = reply;
    this.#body = reply.body;
    this.#held = new BodyBuffer(context.memory);
    this.#progress = new Progress(context.clock.now());
    this.#reader = eventReader(reply.headers, MAX_EVENT_BYTES, this);
  }

  /** Waits for the first event. The receiver gets the reply with it, or a ProxyError if the attempt has failed. */
  open(): void {
    this.#sent.attempt.signal.on(this);
    this.#watch();
    this.#body.pipeTo(this);
  }

  // --- the client's side ---

  pipeTo(sink: BodySink): void {
    if (sink.destroyed) return this.discard();
    this.#sink = sink;
    sink.on('drain', this.#onDrain);
    this.#passHeld(sink);
    if (this.#end !== undefined) this.#passEnd(sink);
    else this.#flow();
  }

  /** An endless stream would hold its connection, and an upstream that still answers costs money. So it is aborted. */
  discard(): void {
    this.#release();
    if (this.#end !== undefined) return;
    this.#discarded = true;
    this.#finish('discarded');
    this.#body.discard();
    this.#body.abort?.(new Error('the stream is discarded'));
  }

  abort(reason: Error): void {
    this.#body.abort?.(reason);
  }

  onEnd(listener: EndListener): void {
    if (this.#end !== undefined) tellEnd(listener, this.#end);
    else this.#listeners = appended(this.#listeners, listener);
  }

  /** The upstream is also held back by a reader of compressed events, for which the client is not responsible. */
  onHeldBack(listener: HeldBackListener): void {
    this.#onHeldBack = listener;
  }

  // --- the upstream's side ---

  get destroyed(): boolean {
    return this.#sink?.destroyed ?? this.#discarded;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#sink !== undefined) this.#pass(this.#sink, chunk);
    else this.#latest = chunk;
    if (this.#reader?.read(chunk) === false) this.#readerFull = true;
    if (this.#latest !== undefined) this.#hold(this.#latest);
    const { holdBytes } = this.#context.options;
    if (this.#waiting && (this.#memoryFull || this.#held.bytes > holdBytes)) this.#commit();
    return this.#flows;
  }

  addTrailers(trailers: Trailers): void {
    this.#trailers = trailers;
  }

  end(): void {
    this.#arrived = true;
    if (this.#reader === undefined) this.onAllRead();
    else this.#reader.end();
  }

  destroy(reason?: Error): void {
    if (this.#end !== undefined) return;
    const error = reason instanceof ProxyError ? reason : INCOMPLETE;
    if (this.#waiting) return this.#reject(error);
    if (this.#sink?.destroyed === true) {
      this.#report('client_gone');
      return this.#finish('discarded', error);
    }
    // Some servers reset the connection after the last event.
    this.#report(this.#done ? 'complete' : resultOf(error));
    const answered = this.#done && this.#error === undefined;
    this.#finish(answered ? 'broken_after_done' : 'broken', error);
  }

  on(_event: 'drain', listener: () => void): void {
    this.#resume = listener;
  }

  // --- the reader's side ---

  onEvent(event: StreamEvent): void {
    const { clock, matcher } = this.#context;
    const meaning = matcher.meaningOf(event, this.#reply.headers, clock);
    if (meaning === 'ignored') return;
    this.#progress.event(clock.now());
    if (meaning === 'done') this.#done = true;
    const error = typeof meaning === 'object' ? meaning : undefined;
    if (!this.#waiting) this.#onLaterError(error);
    else if (error === undefined) this.#commit();
    else this.#fail(error);
  }

  /** The first error event after the first event counts. If the first event was an error, later ones are parts of it. */
  #onLaterError(error: ErrorEvent | undefined): void {
    if (!this.#reported) this.#error ??= error;
  }

  /** The rest of the stream is passed on without being read. */
  onUnreadable(): void {
    this.#reader = undefined;
    this.#readerFull = false;
    if (this.#waiting) this.#commit();
    this.#timer?.cancel();
    if (this.#arrived) this.onAllRead();
    else this.#flow();
  }

  onReady(): void {
    this.#readerFull = false;
    this.#flow();
  }

  onAllRead(): void {
    if (this.#waiting) return this.#reject(EMPTY);
    const complete = this.#done || this.#context.options.done.length === 0;
    const result = complete ? 'complete' : 'incomplete';
    // An error event as the first event is all that its stream has to say.
    const end = this.#reported ? 'complete' : result;
    this.#report(result);
    this.#finish(this.#error === undefined ? end : endWith(this.#error));
  }

  // --- transitions ---

  /** The attempt has succeeded. From here every byte is passed on. */
  #commit(): void {
    const { attempt, call, receiver, startedAt } = this.#sent;
    const reply = this.#reply;
    const ms = this.#context.clock.now() - startedAt;
    this.#flowing();
    if (this.#progress.events > 0) call.journal.note('first_event', ms);
    call.journal.attemptAnswered(attempt.number, reply, ms);
    receiver.replied({ ...reply, body: this, committed: true });
  }

  /** The attempt has failed with an error event. Its bytes are passed on if no later attempt is better. */
  #fail({ status, classification }: ErrorEvent): void {
    const { attempt, call, receiver, startedAt } = this.#sent;
    const reply = this.#reply;
    const { journal } = call;
    this.#flowing();
    journal.attemptAnswered(attempt.number, { ...reply, status }, this.#context.clock.now() - startedAt);
    journal.ruleMatched(attempt.number, classification.name);
    journal.note('error_rule', errorRuleMeaning(classification));
    this.#report('error_event');
    receiver.replied({ ...reply, body: this, status, received: reply.status, classification });
  }

  /** The attempt has failed without an answer. */
  #reject(error: ProxyError): void {
    const { attempt, call, receiver, startedAt } = this.#sent;
    this.#waiting = false;
    call.journal.attemptFailed(attempt.number, error, this.#context.clock.now() - startedAt);
    this.#report(resultOf(error));
    this.#release();
    this.#finish('broken', error);
    receiver.failed(error);
  }

  #flowing(): void {
    this.#waiting = false;
    this.#watch();
  }

  /** Every end of the stream. Listeners come first, because the client may be answered within the call of its sink. */
  #finish(end: BodyEnd, broken?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#broken = broken;
    this.#timer?.cancel();
    this.#sent.attempt.signal.off(this);
    this.#reader?.close();
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) tellEnd(listener, end);
    if (this.#sink !== undefined) this.#passEnd(this.#sink);
  }

  #passEnd(sink: BodySink): void {
    if (this.#broken !== undefined) return void sink.destroy(this.#broken);
    if (this.#trailers !== undefined) sink.addTrailers?.(this.#trailers);
    sink.end();
  }

  // --- flow and time ---

  #pass(sink: BodySink, chunk: Uint8Array): void {
    this.#sinkFull = !sink.write(chunk);
    if (!this.#sinkFull) return;
    this.#onHeldBack?.heldBack();
    this.#onHeldBack = undefined;
  }

  #passHeld(sink: BodySink): void {
    const held = this.#held.chunks();
    const chunks = this.#latest === undefined ? held : [...held, this.#latest];
    this.#release();
    const [only] = chunks;
    if (only !== undefined) this.#pass(sink, chunks.length === 1 ? only : Buffer.concat(chunks));
  }

  #release(): void {
    this.#held.release();
    this.#latest = undefined;
  }

  #hold(chunk: Uint8Array): void {
    this.#latest = undefined;
    if (this.#held.tryAdd(chunk)) return;
    this.#held.add(chunk);
    this.#memoryFull = true;
  }

  /** A stream with its first event waits for its client. */
  get #flows(): boolean {
    if (this.#readerFull) return false;
    return this.#waiting || (this.#sink !== undefined && !this.#sinkFull);
  }

  #flow(): void {
    if (this.#end === undefined && this.#flows) this.#resume?.();
  }

  readonly #onDrain = (): void => {
    if (!this.#sinkFull) return;
    this.#sinkFull = false;
    this.#progress.restart(this.#context.clock.now());
    this.#flow();
  };

  /** The longest silence, in milliseconds; undefined: any. */
  get #limitMs(): number | undefined {
    const { firstEventMs, eventGapMs } = this.#context.options;
    return this.#waiting ? firstEventMs : eventGapMs;
  }

  /** One timer is restarted if it fires early, instead of a reset per event. */
  #watch(ms = this.#limitMs): void {
    this.#timer?.cancel();
    this.#timer = ms === undefined ? undefined : this.#context.clock.timer(ms, this);
  }

  /** Ends the stream if its silence has lasted for too long. */
  onTime(): void {
    const limitMs = this.#limitMs;
    if (limitMs === undefined) return;
    const now = this.#context.clock.now();
    this.#progress.restart(this.#sinkFull ? now : this.#sent.call.body.broughtOnAt(now));
    const leftMs = limitMs - this.#progress.silentMs(now);
    // Less than a millisecond is no wait: floating-point errors could repeat it without end.
    if (leftMs >= 1) this.#watch(leftMs);
    else if (!this.#done) this.#body.abort?.(this.#silence(limitMs));
  }

  #silence(ms: number): ProxyError {
    return this.#waiting
      ? new ProxyError('first_event_timeout', `no meaningful event after ${ms} ms`, UNKNOWN)
      : new ProxyError('idle_timeout', `no meaningful event for ${ms} ms`, UNKNOWN);
  }

  // --- the record ---

  /** The record of a call ends with its client, so a client that leaves is noted at once. */
  onAbort(): void {
    const { reason } = this.#sent.attempt.signal;
    if (reason instanceof ProxyError) this.#report(resultOf(reason));
  }

  /** Notes the result of the stream. An error event is the result, whatever follows it. */
  #report(result: StreamResult | undefined): void {
    if (this.#reported || result === undefined) return;
    this.#reported = true;
    const { attempt, call } = this.#sent;
    const { journal } = call;
    this.#progress.end(this.#context.clock.now());
    const error = this.#error;
    if (error !== undefined) {
      journal.ruleMatched(attempt.number, error.classification.name);
      journal.note('stream_error', error.classification.name ?? `status_${error.status}`);
    }
    // SDKs leave a stream at the event that ends it, which may be before the end of its body.
    const ended = result === 'client_gone' && this.#done ? 'complete' : result;
    journal.note('stream', error === undefined ? ended : 'error_event');
    journal.note('events', this.#progress.events);
    journal.note('longest_gap', this.#progress.longestGapMs);
  }
}

const UNKNOWN = { sent: 'sent_unknown' } as const;
const INCOMPLETE = new ProxyError('response_incomplete', 'the stream broke', UNKNOWN);
const EMPTY = new ProxyError('response_incomplete', 'the stream ended before its first event', UNKNOWN);

/** How a stream with a later error event ends. After an error of the request itself it is as complete as a reply with status 400. */
function endWith({ status, classification }: ErrorEvent): BodyEnd {
  if (classification.throttled) return 'throttled';
  return isUnwell(status) ? 'failed' : 'complete';
}
