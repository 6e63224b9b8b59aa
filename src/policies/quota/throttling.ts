import type { Reply } from '../../http/reply.ts';
import { askedWaitMs } from '../../http/retry-after.ts';
import type { Closing } from './cooldown.ts';

const TOO_MANY = 429;

/**
 * What a reply asks of all callers of a quota; undefined: nothing.
 *
 * Rule "a 503 speaks of the server, a 429 of us": only a 429, or a reply that a rule of the API calls throttled, is about a quota. The
 * Retry-After of any other status holds for the call that got it, and for the circuit breaker.
 */
export function stopOf(
  reply: Pick<Reply, 'status' | 'headers' | 'verdict'>,
  nowWallMs: number,
): Pick<Closing, 'cause' | 'askedMs'> | undefined {
  const { status, verdict } = reply;
  const throttled = isRuled(reply) ? verdict?.throttled === true : status === TOO_MANY;
  if (!throttled) return undefined;
  if (verdict?.kind === 'permanent') return { cause: 'permanent' };
  const askedMs = askedWaitMs(reply, nowWallMs);
  return askedMs !== undefined && askedMs > 0 ? { cause: 'retry_after', askedMs } : { cause: 'throttled' };
}

/** A rule of the API knows better than the status what a reply means; one that only knows how long to wait does not say. */
const isRuled = ({ verdict }: Pick<Reply, 'verdict'>): boolean =>
  verdict?.throttled === true || verdict?.kind !== undefined;
