import { isEventStream } from '../../http/event-stream/reader.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { Receiver, Relay } from '../../proxy/pipeline.ts';
import { EventMatcher } from './event-matcher.ts';
import type { StreamOptions } from './options.ts';
import { type SentAttempt, StreamBody, type StreamContext, type StreamDeps } from './stream-body.ts';

/**
 * An attempt that is answered with an event stream succeeds with its first meaningful event, not with its head. Before that event,
 * an error event, a silence, a break or an end is a failed attempt for all outer policies.
 */
export function stream(options: StreamOptions, deps: StreamDeps): Relay {
  const context = { ...deps, options, matcher: new EventMatcher(options) };
  return {
    relay: (next) => (call, attempt, receiver) => {
      if (call.method === 'HEAD') return next(call, attempt, receiver);
      attempt.answersLater = answersLater;
      next(call, attempt, new Awaited(call, attempt, receiver, context));
    },
  };
}

/** An attempt that may be answered with a stream. */
class Awaited implements SentAttempt, Receiver {
  readonly call: Call;
  readonly attempt: Attempt;
  readonly receiver: Receiver;
  readonly startedAt: number;
  readonly #context: StreamContext;

  constructor(call: Call, attempt: Attempt, receiver: Receiver, context: StreamContext) {
    this.call = call;
    this.attempt = attempt;
    this.receiver = receiver;
    this.startedAt = context.clock.now();
    this.#context = context;
  }

  replied(reply: Reply): void {
    if (!answersLater(reply)) return this.receiver.replied(reply);
    let body: StreamBody;
    try {
      body = new StreamBody(reply, this, this.#context);
    } catch (bug) {
      reply.body.discard();
      return this.receiver.failed(bug);
    }
    body.open();
  }

  failed(error: unknown): void {
    this.receiver.failed(error);
  }
}

/** 204 has no events, and 206 begins anywhere in one. */
const NO_STREAM: ReadonlySet<number> = new Set([204, 206]);

function answersLater({ status, headers }: Reply): boolean {
  return status >= 200 && status < 300 && !NO_STREAM.has(status) && isEventStream(headers);
}
