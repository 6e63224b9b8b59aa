import type { ByteBudget } from '../http/byte-budget.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { attempt, type AttemptDeps, type FinishedAttempt } from './attempt.ts';
import {
  boundAfter,
  boundWithoutRoute,
  isRepeatable,
  isRepeatableByItself,
  needsTarget,
  targetOfNext,
  whyNoTarget,
} from './bound-target.ts';
import type { RequestEnd } from './callbacks/callback.ts';
import type { Credentials } from './credentials.ts';
import { type Decision, deferral, end, type RunnerState } from './decision.ts';
import type { ActiveJob, ClaimedJob, NewJob } from './job.ts';
import { RETENTION_WITHOUT_ROUTE_MS } from './options.ts';
import { noBudget, refusalOf, UNREADABLE_CREDENTIALS, type WaitRefusal } from './refusal.ts';
import type { AttemptResult, Classification, DurableRoute } from './route.ts';
import type { RunningJob } from './runner.ts';
import { lostAttempt, parsedState, type RecordedAttempt, settlementOf } from './settlement.ts';
import type { Settlement } from './store/store.ts';
import { type NextRequest, nextRequestOf } from './until/next-request.ts';
import { type PollState, polling } from './until/state.ts';
import { afterAttempt, type PollDecision } from './until/step.ts';

export interface DispatchDeps {
  readonly clock: Clock;
  readonly memory: ByteBudget;
  readonly random: Random;
  readonly observer: Observer;
  readonly trace: AttemptDeps['trace'];
  readonly credentials: Credentials;
  /** The requests that are created when a request ends: its callback. */
  readonly callbacks: (job: ActiveJob, end: RequestEnd) => readonly NewJob[];
}

/** Wait if the retry budget is empty: the budget refills about one token in ten seconds. */
const BUDGET_WAIT_MS = 10_000;

/** Added for each consecutive refusal by the budget, so that a large backlog does not ask all the time. */
const PER_REFUSAL_MS = 50;

const CREDENTIALS_MESSAGE =
  'the stored credentials cannot be decrypted: durable.credentials_key is missing or was changed';

const CANCELLED_DURING_ATTEMPT =
  'Cancelled during an attempt. Outcome unknown: the upstream may have processed the request';

/** Wait of a request whose route was removed from the configuration. The route may come back. */
const NO_ROUTE_WAIT_MS = 60_000;

/** Removes everything that came from the upstream from an attempt's row. */
const WITHOUT_UPSTREAM_TEXT = {
  detail: undefined,
  waitMs: undefined,
  reason: 'unwritable',
  replyHead: undefined,
} as const;

/** Makes one attempt of a claimed request, unless something prevents it, and returns the settlement to store. */
export class Dispatch {
  readonly #deps: DispatchDeps;
  readonly #refusals = new Map<string, number>();

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
  }

  /** Undefined: the attempt was cut by the shutdown. Its outcome is unknown, so its lease must run out. */
  run(
    running: RunningJob,
    configured: DurableRoute | undefined,
  ): Settlement | Promise<Settlement | undefined> {
    const { job } = running;
    const route = configured && routeOf(job, configured);
    const now = this.#deps.clock.wallTime();
    const request = route && nextRequestOf(job, route);
    const recorded = job.reclaimed ? lostAttempt(job) : undefined;
    if (route === undefined || request === undefined)
      return this.#settlement(job, noRoute(job, now), recorded);
    const times = { now, retentionMs: route.options.retentionMs };
    if (typeof request === 'string')
      return this.#settlement(job, end(times, 'not_retryable', request), recorded);
    const start = {
      route,
      at: now,
      request,
      runnerState: runnerStateOf(job),
      repeatable: isRepeatable(request.job, request.route),
    };
    const noTarget = whyNoTarget(request, start.runnerState, recorded !== undefined);
    if (noTarget !== undefined)
      return this.#settlement(job, unbound(end(times, 'unknown_outcome', noTarget)), recorded);
    // The attempt of a process that died is a failed attempt: it counts, and the usual wait follows.
    if (recorded !== undefined)
      return this.#settlement(job, this.#decide(job, start, recorded.finished), recorded);
    return this.#send(running, start);
  }

  async #send(running: RunningJob, start: AttemptStart): Promise<Settlement | undefined> {
    const { job } = running;
    const { runnerState, repeatable, request } = start;
    const opened = this.#deps.credentials.open(request.job, !isRequest(request));
    const decision = this.#withoutAttempt(start, opened === undefined);
    if (decision !== undefined) return this.#settlement(job, decision);
    const { headers, target } = opened ?? request.job;
    const parts = {
      job: request.job,
      target,
      headers,
      route: request.route,
      repeatable,
      signal: running.signal,
      targetName: targetOfNext(request, runnerState),
    };
    const finished = await attempt(parts, this.#deps);
    if (!finished.sent && runnerState.cost > 0) request.route.refund(runnerState.cost);
    return this.#settle(running, start, finished);
  }

  /** The end of a request whose result the store cannot write. It contains nothing that came from the upstream. */
  unwritable(job: ClaimedJob, { entry, now }: Settlement, route: DurableRoute | undefined): Settlement {
    const result = end(
      { now, retentionMs: route?.options.retentionMs ?? RETENTION_WITHOUT_ROUTE_MS },
      'unwritable',
    );
    const settlement = this.#settlement(job, result, entry && { ...lostAttempt(job), n: entry.n });
    return { ...settlement, entry: entry && { ...entry, ...WITHOUT_UPSTREAM_TEXT } };
  }

  /** Decides without an attempt: end or wait. Undefined: the attempt may begin, and its budget cost is paid. */
  #withoutAttempt(
    { route, request, runnerState, at: now }: AttemptStart,
    sealed: boolean,
  ): Decision | undefined {
    const { job, before } = request;
    const late = now >= job.deadlineAt;
    const tooLate = () => {
      const why =
        runnerState.obstacle && `The deadline has passed. The request was not sent: ${runnerState.obstacle}`;
      return end({ now, retentionMs: route.options.retentionMs }, 'deadline', why);
    };
    const wait = (refusal: WaitRefusal, message: string) =>
      late ? tooLate() : deferral({ message, retryAfterMs: undefined }, refusal, this.#times(job, now));
    // A polled request is polled once more at its deadline, because it may have finished meanwhile.
    if (late && before === undefined) return tooLate();
    if (sealed) return wait(UNREADABLE_CREDENTIALS, CREDENTIALS_MESSAGE);
    if (runnerState.cost === 0 || this.#withdraw(job.route, () => request.route.withdraw(runnerState.cost)))
      return undefined;
    return wait(
      noBudget(BUDGET_WAIT_MS + (this.#refusals.get(job.route) ?? 0) * PER_REFUSAL_MS),
      'no budget',
    );
  }

  #times({ deadlineAt }: ClaimedJob, now: number) {
    return { now, deadlineAt, random: this.#deps.random };
  }

  #settle(
    { job, cancelled }: RunningJob,
    start: AttemptStart,
    finished: FinishedAttempt,
  ): Settlement | undefined {
    const { at, request } = start;
    const { response, sent } = finished;
    if (sent && !cancelled && isShutdown(finished)) return this.#cut(job, start, finished);
    if (cancelled && response === undefined)
      return this.#settlement(job, this.#cancelled(start, finished), sent ? { finished, at } : undefined);
    const decision = this.#decide(job, start, finished);
    this.#reportPoll(job, request, decision);
    const recorded = sent ? { finished, at, ...recordingOf(decision, request.before) } : undefined;
    const goesOn = decision.next.kind === 'wait';
    const stored = cancelled && goesOn ? this.#cancelled(start, finished) : decision;
    return this.#settlement(job, stored, recorded);
  }

  /** The outcome of an attempt that was cut by the shutdown is unknown, so its lease runs out. Only its target is stored, if needed. */
  #cut(job: ClaimedJob, start: AttemptStart, { ms, targetName }: FinishedAttempt): Settlement | undefined {
    if (targetName === undefined || !needsTarget(start.request)) return undefined;
    const finished = { ...lostAttempt(job).finished, ms, targetName };
    return this.#settlement(job, this.#decide(job, start, finished), { finished, at: start.at });
  }

  #cancelled({ route, request }: AttemptStart, finished: FinishedAttempt): Decision {
    const times = { now: this.#deps.clock.wallTime(), retentionMs: route.options.retentionMs };
    const unknown = finished.sent && finished.response === undefined && isRequest(request);
    return end(times, 'cancelled', unknown ? CANCELLED_DURING_ATTEMPT : undefined);
  }

  #decide(job: ClaimedJob, start: AttemptStart, finished: FinishedAttempt): PollDecision {
    const { repeatable, runnerState, route, request } = start;
    const { options, polls } = route;
    const result: AttemptResult = {
      outcome: finished.outcome,
      method: request.job.method,
      repeatable,
      attempt: job.counted + 1,
      previousMs: runnerState.previousMs,
      now: this.#deps.clock.wallTime(),
      deadlineAt: job.deadlineAt,
    };
    const classification = classifyResult(job, result, request.route);
    const { response, targetName } = finished;
    const place = (targetName === undefined ? undefined : route.targets?.get(targetName)) ?? polls;
    const submitted = polls && place && { upstream: polls, place, target: job.target };
    const { poll, retentionMs } = options;
    const rules = { retentionMs, random: this.#deps.random };
    const { before } = request;
    const decision = afterAttempt(
      { result, classification, response, poll, before, submitted, targetName },
      rules,
    );
    const bound = boundAfter(request, finished);
    return bound === undefined ? decision : boundTo(decision, bound);
  }

  #reportPoll({ route: scope }: ClaimedJob, { route }: NextRequest, { pollResult }: PollDecision): void {
    if (pollResult === undefined) return;
    const event = { type: 'durable_polled', scope, result: pollResult } as const;
    this.#deps.observer.stateChanged(route.upstream, event);
  }

  #settlement(job: ClaimedJob, decision: Decision, recorded?: RecordedAttempt): Settlement {
    const { clock, callbacks } = this.#deps;
    return settlementOf(job, decision, recorded, { now: clock.wallTime(), callbacks });
  }

  /** Counts consecutive refusals of a route by its retry budget. */
  #withdraw(route: string, withdraw: () => boolean): boolean {
    const paid = withdraw();
    if (paid) this.#refusals.delete(route);
    else this.#refusals.set(route, (this.#refusals.get(route) ?? 0) + 1);
    return paid;
  }
}

/** The route of the request's tenant. Undefined if a reload gave the upstream tenants, or took them. */
function routeOf({ tenant }: ClaimedJob, route: DurableRoute): DurableRoute | undefined {
  if (route.forTenant === undefined) return tenant === '' ? route : undefined;
  return tenant === '' ? undefined : route.forTenant(tenant);
}

/** Refusals by this proxy are classified by the error table, all other results by the route. */
function classifyResult(job: ClaimedJob, result: AttemptResult, route: DurableRoute): Classification {
  const { outcome } = result;
  const refusal = outcome.kind === 'error' ? refusalOf(outcome.error, job) : undefined;
  if (outcome.kind === 'reply' || refusal === undefined) return route.classify(result);
  return { kind: 'refused', error: outcome.error, refusal };
}

/** A request before its attempt. */
interface AttemptStart {
  /** The request's own route. A poll may go through another one. */
  readonly route: DurableRoute;
  readonly request: NextRequest;
  /** Wall-clock milliseconds. */
  readonly at: number;
  readonly repeatable: boolean;
  readonly runnerState: RunnerState;
}

/** True for the request itself, false for a poll of its result. */
const isRequest = ({ before }: NextRequest): boolean => before?.target === undefined;

const isShutdown = ({ outcome }: FinishedAttempt): boolean =>
  outcome.kind === 'error' && outcome.error.code === 'draining';

function recordingOf({ detail, pollResult, next }: PollDecision, before: PollState | undefined) {
  const unchanged = pollResult === 'unchanged' && next.kind === 'wait';
  return { detail, unchanged, retainsReply: unchanged || before?.target !== undefined };
}

/** The target also counts if the request ends, because a person may retry it. */
const boundTo = <D extends Decision>(decision: D, targetName: string): D => ({
  ...decision,
  runnerState: { ...decision.runnerState, boundTo: targetName },
});

/** A person who retries it has decided that every target may get it. */
const unbound = (decision: Decision): Decision => ({ ...decision, runnerState: { boundTo: undefined } });

/** The upstream has accepted the request, and only its result is polled. */
const isPolled = ({ runnerState }: ClaimedJob): boolean => polling(runnerState)?.target !== undefined;

function noRoute(job: ClaimedJob, now: number): Decision {
  const { deadlineAt } = job;
  // Whether the removed route accepted the risk is unknown.
  if (job.reclaimed && !isPolled(job) && !isRepeatableByItself(job))
    return end({ now, retentionMs: RETENTION_WITHOUT_ROUTE_MS }, 'unknown_outcome');
  if (now >= deadlineAt) return end({ now, retentionMs: RETENTION_WITHOUT_ROUTE_MS }, 'deadline');
  const next = {
    kind: 'wait',
    dueAt: Math.min(now + NO_ROUTE_WAIT_MS, deadlineAt),
    reason: 'paused',
    counts: job.reclaimed,
  } as const;
  const boundTo = job.reclaimed ? boundWithoutRoute(job, runnerStateOf(job)) : undefined;
  const runnerState = boundTo === undefined ? undefined : { boundTo };
  return { next, waitMs: NO_ROUTE_WAIT_MS, reason: 'paused', runnerState };
}

function runnerStateOf(job: ClaimedJob): RunnerState {
  const { previousMs = 0, cost = 1, ...state } = parsedState(job) as Partial<RunnerState>;
  return { ...state, previousMs, cost: job.counted > 0 ? cost : 0 };
}
