import { withoutFields } from '../../http/headers.ts';
import type { ClaimedJob } from '../job.ts';
import type { DurableRoute } from '../route.ts';
import { type PollState, polling } from './state.ts';

/** The next request to send, and its route: the request itself, or a poll of its result. */
export interface NextRequest {
  readonly job: ClaimedJob;
  readonly route: DurableRoute;
  /** Undefined before the first successful reply. */
  readonly before: PollState | undefined;
}

/** A text gives the reason why nothing can be sent. Undefined: the route no longer polls, but a later configuration may. */
export function nextRequestOf(job: ClaimedJob, route: DurableRoute): NextRequest | string | undefined {
  const before = polling(job.runnerState);
  const gone = before && whyGone(before, route);
  if (gone !== undefined) return gone;
  if (before?.target === undefined) return { job, route, before };
  if (route.polls === undefined) return undefined;
  const found = route.polls.routeOf(before.target);
  if (typeof found === 'string') return found;
  return { job: pollRequest(job, before.target, found), route: found, before };
}

/** Why no target can be asked for the result. No other one knows it. */
function whyGone({ target, targetName }: PollState, { targets }: DurableRoute): string | undefined {
  if (targetName !== undefined)
    return targets?.has(targetName) === true
      ? undefined
      : `the target ${targetName}, which has accepted the request, is no longer in the configuration`;
  // A poll that repeats the request has gone to any of them before, too.
  if (target === undefined || targets === undefined || targets.size === 1) return undefined;
  return 'the request was accepted before the upstream had several targets, so it is unknown which of them has its result';
}

/** Fields about the body, about conditions on another resource, or about the original request's effect. */
const NOT_FOR_POLLS =
  /^(content-.*|expect|if-.*|range|transfer-encoding|trailer|prefer|digest|repr-digest|signature|signature-input)$/;

/** The poll has the credentials of the original request and the other fields that identify the caller. */
function pollRequest(job: ClaimedJob, target: string, { drop, idempotencyHeader }: DurableRoute): ClaimedJob {
  const drops = (name: string) => drop.has(name) || name === idempotencyHeader || NOT_FOR_POLLS.test(name);
  const headers = withoutFields(job.headers, drops);
  return { ...job, method: 'GET', target, headers, body: new Uint8Array(), upstreamKey: null };
}
