import { RecordedBody, type Recording } from '../../http/bodies/recorded-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';
import { type Arrival, Freshness } from './freshness.ts';
import { type Key, valueOf } from './key.ts';
import type { CacheOptions } from './options.ts';
import { fits } from './cacheable.ts';
import { type CacheStore, varyOf } from './store.ts';

export interface KeepingParts {
  readonly store: CacheStore;
  readonly memory: ByteBudget;
  readonly options: CacheOptions;
  readonly clock: Pick<Clock, 'now' | 'wallTime'>;
  readonly key: Key;
  /** `store.changes` when the request left. */
  readonly asked: number;
  /** Called once the body has passed; undefined: it was not whole, or too large. */
  readonly onDone: (recording: Recording | undefined) => void;
}

export function arrivalOf({ callerKnown }: Key, clock: KeepingParts['clock']): Arrival {
  return { now: clock.now(), wallMs: clock.wallTime(), callerKnown };
}

/** A body that is kept, with its head, while it passes; undefined where the reply may not be kept. */
export function keeping(
  call: Call,
  { signal }: Attempt,
  reply: Reply,
  parts: KeepingParts,
): RecordedBody | undefined {
  const { store, memory, options, clock, key, asked, onDone } = parts;
  const { status, statusText, headers } = reply;
  const freshness = new Freshness(reply, options, arrivalOf(key, clock));
  const vary = varyOf(headers, call);
  const encodings = valueOf(call.headers, 'accept-encoding');
  if (!freshness.storable || vary === undefined || !fits(reply, options)) return undefined;
  return new RecordedBody(reply.body, {
    maxBytes: options.maxReplyBytes,
    memory,
    client: signal,
    onDone: (recording) => {
      if (recording !== undefined)
        store.put(key, { status, statusText, headers, ...recording, freshness, encodings, vary }, asked);
      onDone(recording);
    },
  });
}
