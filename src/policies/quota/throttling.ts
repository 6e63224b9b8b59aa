import type { Reply } from '../../http/reply.ts';
import { askedWaitMs } from '../../http/retry-after.ts';
import type { Throttling } from './cooldown.ts';

const TOO_MANY = 429;

/**
 * Why and for how long a reply throttles all callers of a quota; undefined if it does not.
 *
 * Only a 429, or a reply that an error rule calls throttled, is about a quota. A 503 is about the server. The Retry-After of
 * any other status holds only for the call that received it.
 */
export function throttlingOf(
  reply: Pick<Reply, 'status' | 'headers' | 'classification'>,
  nowWallMs: number,
): Pick<Throttling, 'cause' | 'askedMs'> | undefined {
  const { status, classification } = reply;
  const throttled = isRuled(reply) ? classification?.throttled === true : status === TOO_MANY;
  if (!throttled) return undefined;
  if (classification?.kind === 'permanent') return { cause: 'permanent' };
  const askedMs = askedWaitMs(reply, nowWallMs);
  return askedMs !== undefined && askedMs > 0 ? { cause: 'retry_after', askedMs } : { cause: 'throttled' };
}

/** An error rule overrides the status, unless the rule gives only a wait. */
const isRuled = ({ classification }: Pick<Reply, 'classification'>): boolean =>
  classification?.throttled === true || classification?.kind !== undefined;
