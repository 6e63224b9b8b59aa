import type { Reply } from '../../http/reply.ts';
import { askedWaitMs } from '../../http/retry-after.ts';
import type { Closing } from './gate.ts';

const TOO_MANY = 429;

/** What a reply wishes of all callers; undefined: nothing. Of a status, `statuses` say that it may be about too many calls. */
export function stopOf(
  reply: Pick<Reply, 'status' | 'headers' | 'verdict'>,
  statuses: ReadonlySet<number>,
  nowWallMs: number,
): Pick<Closing, 'cause' | 'askedMs'> | undefined {
  const { status, verdict } = reply;
  const ruled = isRuled(reply);
  if (!(ruled ? verdict?.throttled === true : statuses.has(status))) return undefined;
  if (verdict?.kind === 'permanent') return { cause: 'permanent' };
  const askedMs = askedWaitMs(reply, nowWallMs);
  if (askedMs !== undefined && askedMs > 0) return { cause: 'retry_after', askedMs };
  // A 503 without a word is no quota's.
  return ruled || status === TOO_MANY ? { cause: 'throttled' } : undefined;
}

/** A rule of the API knows better than the status what a reply means; one that only knows how long to wait does not say. */
const isRuled = ({ verdict }: Pick<Reply, 'verdict'>): boolean =>
  verdict?.throttled === true || verdict?.kind !== undefined;
