import { isAnswered, isUnwell } from '../../http/status.ts';
import type { Reply } from '../../http/reply.ts';
import { blamesUpstream, isCutShort, type ProxyError, refusalIsAbout } from '../../proxy/errors.ts';

/**
 * The meaning of an outcome for its target:
 *
 * - `accepted`: the target works, and so does its credential
 * - `credential`: its credential is refused
 * - `limit`: its credential has used up its quota
 * - `host`: its host does not work
 * - `nothing`
 */
export type Verdict = 'accepted' | 'credential' | 'limit' | 'host' | 'nothing';

/** The credential is not accepted, or has no credit. Neither was processed (RFC 9110 §15.5.2, §15.5.3). */
const REFUSED: ReadonlySet<number> = new Set([401, 402]);
const TOO_MANY = 429;

export function verdictOfReply({
  status,
  classification,
}: Pick<Reply, 'status' | 'classification'>): Verdict {
  if (classification?.kind === 'credential_refused') return 'credential';
  if (classification?.throttled === true || status === TOO_MANY) return 'limit';
  if (REFUSED.has(status)) return 'credential';
  if (isUnwell(status)) return 'host';
  return isAnswered(status) && status !== 403 ? 'accepted' : 'nothing';
}

const REFUSAL_VERDICTS = { credential: 'limit', host: 'host' } as const;

export function verdictOfError(error: ProxyError): Verdict {
  if (blamesUpstream(error)) return isCutShort(error) ? 'nothing' : 'host';
  const about = refusalIsAbout(error);
  return about === undefined ? 'nothing' : REFUSAL_VERDICTS[about];
}
