import { isEventStream } from '../../http/event-stream/reader.ts';
import type { Reply } from '../../http/reply.ts';
import type { Wrapper } from '../../proxy/pipeline.ts';
import { EventMatcher } from './event-matcher.ts';
import type { StreamOptions } from './options.ts';
import { StreamBody, type StreamDeps } from './stream-body.ts';

/**
 * An attempt that is answered with an event stream succeeds with its first meaningful event, not with its head. Before that event,
 * an error event, a silence, a break or an end is a failed attempt for all outer policies.
 */
export function stream(options: StreamOptions, deps: StreamDeps): Wrapper {
  const context = { ...deps, options, matcher: new EventMatcher(options) };
  return (next) => async (call, attempt) => {
    if (call.method === 'HEAD') return next(call, attempt);
    const startedAt = deps.clock.now();
    attempt.answersLater = answersLater;
    const reply = await next(call, attempt);
    return answersLater(reply) ? new StreamBody({ reply, call, attempt, startedAt }, context).open() : reply;
  };
}

/** 204 has no events, and 206 begins anywhere in one. */
const NO_STREAM: ReadonlySet<number> = new Set([204, 206]);

function answersLater({ status, headers }: Reply): boolean {
  return status >= 200 && status < 300 && !NO_STREAM.has(status) && isEventStream(headers);
}
