import type { RawHeaders } from '../../http/headers.ts';
import { preferencesOf } from '../../http/preferences.ts';
import type { Reply } from '../../http/reply.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Job } from '../job.ts';
import type { ApiDeps } from './deps.ts';
import { isDone } from './monitor.ts';
import { accepted, resultOf, waitWhile } from './requests.ts';

export interface Submission {
  readonly job: Job;
  /** The idempotency key was used before, for the same request. */
  readonly repeat: boolean;
}

/** The reply to an accepted request: 202, or the result if it arrives within `Prefer: wait`. */
export async function answerSubmission(
  { job, repeat }: Submission,
  { headers, signal }: { readonly headers: RawHeaders; readonly signal: Abort },
  deps: ApiDeps,
): Promise<Reply> {
  const seconds = preferencesOf(headers)?.waitSeconds;
  const applied = seconds === undefined ? 'respond-async' : `respond-async, wait=${seconds}`;
  const more = ['preference-applied', applied, 'vary', 'Prefer'];
  if (repeat) more.push('idempotent-replayed', 'true');
  const wait = { ms: (seconds ?? 0) * 1_000, signal, same: (found: Job) => !isDone(found) };
  const found = await waitWhile(job, wait, deps);
  if (seconds === undefined || !isDone(found)) return accepted(found, deps, more);
  return resultOf(found, deps, ['location', `${deps.prefix()}/requests/${job.id}`, ...more]);
}
