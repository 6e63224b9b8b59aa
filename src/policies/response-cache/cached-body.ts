import { acceptedCodings, contentCodings } from '../../http/codings.ts';
import { RecordedBody, type Recording } from '../../http/bodies/recorded-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type Arrival, Freshness } from './freshness.ts';
import type { Key } from './key.ts';
import type { CacheOptions } from './options.ts';
import { isCacheable } from './cacheable.ts';
import { withoutAge } from './cached-reply.ts';
import { type CacheStore, varyOf } from './store.ts';

export interface CachedBodyParts {
  readonly store: CacheStore;
  readonly memory: ByteBudget;
  readonly options: CacheOptions;
  readonly clock: Pick<Clock, 'real' | 'wallTime'>;
  readonly key: Key;
  /** `store.changes` when the request left. */
  readonly asked: number;
  /** Called when the body has passed; undefined if it was incomplete or too large. */
  readonly onDone: (recording: Recording | undefined) => void;
}

export function arrivalOf({ callerKnown }: Key, clock: CachedBodyParts['clock']): Arrival {
  return { now: clock.real(), wallMs: clock.wallTime(), callerKnown };
}

/** A body that is recorded while it passes, to be cached with its head; undefined if the reply may not be cached. */
export function cachedBody(
  call: Call,
  { signal }: Attempt,
  reply: Reply,
  parts: CachedBodyParts,
): RecordedBody | undefined {
  const { store, memory, options, clock, key, asked, onDone } = parts;
  const { status, statusText, headers } = reply;
  const freshness = new Freshness(reply, options, arrivalOf(key, clock));
  const vary = varyOf(headers, call);
  const { text: encodings } = acceptedCodings(call.headers);
  if (!freshness.storable || vary === undefined || !isCacheable(reply, options)) return undefined;
  return new RecordedBody(reply.body, {
    maxBytes: options.maxReplyBytes,
    memory,
    client: signal,
    onDone: (recording) => {
      const head = { status, statusText, headers: withoutAge(headers), codings: contentCodings(headers) };
      if (recording !== undefined)
        store.put(key, { ...head, ...recording, freshness, encodings, vary }, asked);
      onDone(recording);
    },
  });
}
