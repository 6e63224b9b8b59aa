import { isIdempotent } from '../http/methods.ts';
import { isAboutCaller } from '../http/reply.ts';
import { leavesOpen } from '../http/status.ts';
import type { FinishedAttempt } from './attempt.ts';
import type { RunnerState } from './decision.ts';
import type { ClaimedJob } from './job.ts';
import type { DurableRoute } from './route.ts';
import type { NextRequest } from './until/next-request.ts';

/*
 * An upstream can have several targets, and an API may know an idempotency key per account. So a request that only its key makes safe to
 * repeat stays at the target that may have processed it.
 */

/** The target of a request that went to an upstream without targets, or to one that is unknown. */
const NO_TARGETS = '';

/** The first attempt with the key still runs. */
const CONFLICT = 409;

/** Whether the request may be sent twice: it is idempotent, has a key, or the route accepts the risk. */
export function isRepeatable(
  { method, upstreamKey }: Pick<ClaimedJob, 'method' | 'upstreamKey'>,
  { options, safe }: Pick<DurableRoute, 'options' | 'safe'>,
): boolean {
  return safe || options.onUnknown === 'retry' || isRepeatableByItself({ method, upstreamKey });
}

export const isRepeatableByItself = ({
  method,
  upstreamKey,
}: Pick<ClaimedJob, 'method' | 'upstreamKey'>): boolean => isIdempotent(method) || upstreamKey !== null;

/** Whether a target that may have processed the request is the only one that may get it again. */
export const needsTarget = ({ job, route }: NextRequest): boolean =>
  !isRepeatable({ method: job.method, upstreamKey: null }, route);

/** The value of `RunnerState.boundTo` after an attempt. Undefined: it does not change. */
export function boundAfter(
  request: NextRequest,
  { outcome, targetName = NO_TARGETS }: Pick<FinishedAttempt, 'outcome' | 'targetName'>,
): string | undefined {
  return needsTarget(request) && mayBeProcessed(outcome, request.route) ? targetName : undefined;
}

/** The same after an attempt whose process has stopped, if the route of the request is not configured any more. */
export function boundWithoutRoute(
  { method, upstreamKey }: Pick<ClaimedJob, 'method' | 'upstreamKey'>,
  { boundTo }: Partial<RunnerState>,
): string | undefined {
  return upstreamKey === null || isIdempotent(method) ? undefined : (boundTo ?? NO_TARGETS);
}

/** The only target that may get the next attempt. Undefined: every one may. */
export function targetOfNext({ before, route }: NextRequest, { boundTo }: RunnerState): string | undefined {
  if (before?.targetName !== undefined) return before.targetName;
  return boundTo !== undefined && route.targets?.has(boundTo) === true ? boundTo : undefined;
}

/**
 * Why no target may get a request that may have been processed. Undefined: one may. `lost`: the process of the latest attempt has
 * stopped, so its target was not stored.
 */
export function whyNoTarget(request: NextRequest, state: RunnerState, lost: boolean): string | undefined {
  const { job, route, before } = request;
  if (job.upstreamKey === null || !needsTarget(request) || before?.targetName !== undefined) return undefined;
  const { boundTo } = state;
  if (boundTo === undefined || boundTo === NO_TARGETS) return whyUnknown(state, lost, route);
  return route.targets?.has(boundTo) === true ? undefined : gone(boundTo);
}

/** Why nothing says which target may have processed the request. */
function whyUnknown(
  { boundTo, hadTargets = false }: Pick<RunnerState, 'boundTo' | 'hadTargets'>,
  lost: boolean,
  route: DurableRoute,
): string | undefined {
  if (!hadTargets && !hasSeveralTargets(route)) return undefined;
  if (boundTo === NO_TARGETS) return SENT_BEFORE_TARGETS;
  return lost ? STOPPED_DURING_ATTEMPT : undefined;
}

const hasSeveralTargets = ({ targets }: Pick<DurableRoute, 'targets'>): boolean =>
  targets !== undefined && targets.size > 1;

/** The state of a request that the route accepts. A later configuration may have only one of its targets. */
export const firstState = (route: Pick<DurableRoute, 'targets'>): Pick<RunnerState, 'hadTargets'> =>
  hasSeveralTargets(route) ? { hadTargets: true } : {};

const ANOTHER = 'another one may not know its idempotency key';
const STOPPED_DURING_ATTEMPT = `Outcome unknown: the process stopped during the attempt, and nothing says which target may have processed the request; ${ANOTHER}`;
const SENT_BEFORE_TARGETS = `Outcome unknown: the request was sent before its upstream had these targets, and nothing says which of them may have processed it; ${ANOTHER}`;
const gone = (name: string): string =>
  `Outcome unknown: the target ${name}, which may have processed the request, is no longer in the configuration; ${ANOTHER}`;

function mayBeProcessed(
  outcome: FinishedAttempt['outcome'],
  { notProcessed }: Pick<DurableRoute, 'notProcessed'>,
): boolean {
  if (outcome.kind === 'error') return outcome.error.sent !== 'not_sent';
  const { status, classification } = outcome.reply;
  if (isAboutCaller(outcome.reply) || classification?.kind === 'not_processed') return false;
  return (leavesOpen(status) && !notProcessed.has(status)) || status === CONFLICT;
}
