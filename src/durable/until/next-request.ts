import { withoutFields } from '../../http/headers.ts';
import type { ClaimedJob } from '../job.ts';
import type { DurableRoute } from '../route.ts';
import { type PollState, polling } from './state.ts';

/** What is sent, and by which route: the request itself, or the pollRequest what has become of it. */
export interface NextRequest {
  readonly job: ClaimedJob;
  readonly route: DurableRoute;
  /** Undefined before the first good answer. */
  readonly before: PollState | undefined;
}

/** A text says why nothing can be sent. Undefined: the route says no more for what to poll, but may again. */
export function nextRequestOf(job: ClaimedJob, route: DurableRoute): NextRequest | string | undefined {
  const before = polling(job.runnerState);
  if (before?.target === undefined) return { job, route, before };
  if (route.polls === undefined) return undefined;
  const found = route.polls.routeOf(before.target);
  if (typeof found === 'string') return found;
  return { job: pollRequest(job, before.target, found), route: found, before };
}

/** Fields that speak of a body, of conditions on another resource, or of the request as one that acts. */
const NOT_FOR_POLLS =
  /^(content-.*|expect|if-.*|range|transfer-encoding|trailer|prefer|digest|repr-digest|signature|signature-input)$/;

/** With the credentials of the first, and what else says who asks. */
function pollRequest(job: ClaimedJob, target: string, { drop, idempotencyHeader }: DurableRoute): ClaimedJob {
  const drops = (name: string) => drop.has(name) || name === idempotencyHeader || NOT_FOR_POLLS.test(name);
  const headers = withoutFields(job.headers, drops);
  return { ...job, method: 'GET', target, headers, body: new Uint8Array(), upstreamKey: null };
}
