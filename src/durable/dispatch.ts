import type { ByteBudget } from '../http/byte-budget.ts';
import { isIdempotent } from '../http/methods.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { attempt, type FinishedAttempt } from './attempt.ts';
import type { RequestEnd } from './callbacks/callback.ts';
import type { Credentials } from './credentials.ts';
import { type Decision, deferral, end, type RunnerState } from './decision.ts';
import type { ClaimedJob, Job, NewJob } from './job.ts';
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
  readonly owner: string;
  readonly credentials: Credentials;
  /** What comes into being with the end of a request. */
  readonly callbacks: (job: Job, end: RequestEnd) => readonly NewJob[];
}

/** Where the budget has nothing left: about what ten seconds of its refill bring. */
const BUDGET_WAIT_MS = 10_000;

/** And so much more for each request before it that was told the same. */
const PER_REFUSAL_MS = 50;

const CREDENTIALS_UNREADABLE =
  'the stored credentials cannot be decrypted: durable.credentials_key is missing or was changed';

const CANCELLED_DURING_ATTEMPT =
  'Cancelled during an attempt. Outcome unknown: the upstream may have processed the request';

/** A request whose route is gone from the configuration: it may come back. */
const NO_ROUTE_WAIT_MS = 60_000;

/** An attempt's row without what came from outside. */
const WITHOUT_UPSTREAM_TEXT = {
  detail: undefined,
  waitMs: undefined,
  reason: 'unwritable',
  replyHead: undefined,
} as const;

/** What ends without a route is kept for so long. */
const DEFAULT_RETENTION_MS = 86_400_000;

/** Runs a claimed request once, unless something is in its way, and says what is to be kept of it. */
export class Dispatch {
  readonly #deps: DispatchDeps;
  readonly #refusals = new Map<string, number>();

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
  }

  get owner(): string {
    return this.#deps.owner;
  }

  /** Undefined: the store is to find out by itself, for nobody knows what became of it. */
  async run(running: RunningJob, route: DurableRoute | undefined): Promise<Settlement | undefined> {
    const { job } = running;
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
    // An attempt whose process is gone is a failed attempt: it counts, and the next one waits as after any other.
    if (recorded !== undefined)
      return this.#settlement(job, this.#decide(job, { ...start, ...recorded }), recorded);
    return this.#send(running, start);
  }

  async #send(running: RunningJob, start: AttemptStart): Promise<Settlement | undefined> {
    const { job } = running;
    const { runnerState, repeatable, request } = start;
    const opened = this.#deps.credentials.open(request.job, !isRequest(request));
    const instead = this.#withoutAttempt(start, opened === undefined);
    if (instead !== undefined) return this.#settlement(job, instead);
    const { headers, target } = opened ?? request.job;
    const parts = {
      job: { ...request.job, target },
      headers,
      route: request.route,
      repeatable,
      signal: running.signal,
    };
    const finished = await attempt(parts, this.#deps);
    if (!finished.sent && runnerState.cost > 0) request.route.refund(runnerState.cost);
    return this.#settle(running, { ...start, finished });
  }

  /** The end of a request whose result the store cannot write: what is known of its attempt, in our own words. */
  unwritable(job: ClaimedJob, { entry, now }: Settlement, route: DurableRoute | undefined): Settlement {
    const result = end(
      { now, retentionMs: route?.options.retentionMs ?? DEFAULT_RETENTION_MS },
      'unwritable',
    );
    const settlement = this.#settlement(job, result, entry && { ...lostAttempt(job), n: entry.n });
    return { ...settlement, entry: entry && { ...entry, ...WITHOUT_UPSTREAM_TEXT } };
  }

  /** What comes in place of an attempt: the end, or a wait. It takes the attempt's cost from the budget otherwise. */
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
    // A request that is polled is asked about once more when its time is over: it may have come to its end meanwhile.
    if (late && before === undefined) return tooLate();
    if (sealed) return wait(UNREADABLE_CREDENTIALS, CREDENTIALS_UNREADABLE);
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

  #settle(running: RunningJob, facts: AttemptEnd): Settlement | undefined {
    const { job, cancelled } = running;
    const { finished, at, request } = facts;
    const { response, sent } = finished;
    if (sent && !cancelled && isShutdown(finished)) return undefined;
    const recorded = sent ? { finished, at } : undefined;
    if (cancelled && response === undefined) return this.#settlement(job, this.#cancelled(facts), recorded);
    const decision = this.#decide(job, facts);
    this.#reportPoll(job, request, decision);
    const shown = recorded && { ...recorded, ...recordingOf(decision, request.before) };
    const goesOn = decision.next.kind === 'wait';
    return this.#settlement(job, cancelled && goesOn ? this.#cancelled(facts) : decision, shown);
  }

  #cancelled({ finished, route, request }: AttemptEnd): Decision {
    const times = { now: this.#deps.clock.wallTime(), retentionMs: route.options.retentionMs };
    const unknown = finished.sent && finished.response === undefined && isRequest(request);
    return end(times, 'cancelled', unknown ? CANCELLED_DURING_ATTEMPT : undefined);
  }

  #decide(job: ClaimedJob, { finished, repeatable, runnerState, route, request }: AttemptEnd): PollDecision {
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
    const submitted = polls && { upstream: polls, target: job.target };
    const { response } = finished;
    const { poll, retentionMs } = options;
    const rules = { retentionMs, random: this.#deps.random };
    return afterAttempt({ result, classification, response, poll, before: request.before, submitted }, rules);
  }

  #reportPoll({ route: scope }: ClaimedJob, { route }: NextRequest, { pollResult }: PollDecision): void {
    if (pollResult === undefined) return;
    const event = { type: 'durable_polled', scope, result: pollResult } as const;
    this.#deps.observer.stateChanged(route.upstream, event);
  }

  #settlement(job: ClaimedJob, decision: Decision, recorded?: RecordedAttempt): Settlement {
    const { owner, clock, callbacks } = this.#deps;
    return settlementOf(job, decision, recorded, { owner, now: clock.wallTime(), callbacks });
  }

  /** Counts refusals in a row: a backlog that the budget does not pay for must not be asked about all the time. */
  #withdraw(route: string, withdraw: () => boolean): boolean {
    const paid = withdraw();
    if (paid) this.#refusals.delete(route);
    else this.#refusals.set(route, (this.#refusals.get(route) ?? 0) + 1);
    return paid;
  }
}

/** What we would not send ourselves, the table of fates knows; the rest the route judges. */
function classifyResult(job: ClaimedJob, result: AttemptResult, route: DurableRoute): Classification {
  const { outcome } = result;
  const refusal = outcome.kind === 'error' ? refusalOf(outcome.error, job) : undefined;
  if (outcome.kind === 'reply' || refusal === undefined) return route.classify(result);
  return { kind: 'refused', error: outcome.error, refusal };
}

/** A request before its attempt. */
interface AttemptStart {
  /** Its own; what is polled may go by another one. */
  readonly route: DurableRoute;
  readonly request: NextRequest;
  /** Wall-clock milliseconds. */
  readonly at: number;
  readonly repeatable: boolean;
  readonly runnerState: RunnerState;
}

interface AttemptEnd extends AttemptStart {
  readonly finished: FinishedAttempt;
}

/** And not a question about it. */
const isRequest = ({ before }: NextRequest): boolean => before?.target === undefined;

const isShutdown = ({ outcome }: FinishedAttempt): boolean =>
  outcome.kind === 'error' && outcome.error.code === 'draining';

function recordingOf({ detail, pollResult, next }: PollDecision, before: PollState | undefined) {
  const unchanged = pollResult === 'unchanged' && next.kind === 'wait';
  return { detail, unchanged, retainsReply: unchanged || before?.target !== undefined };
}

/** Sending it twice means no more than sending it once, or the route takes the risk. */
export function isRepeatable(
  { method, upstreamKey }: Pick<ClaimedJob, 'method' | 'upstreamKey'>,
  { options, safe }: DurableRoute,
): boolean {
  return safe || options.onUnknown === 'retry' || isRepeatableByItself({ method, upstreamKey });
}

const isRepeatableByItself = ({ method, upstreamKey }: Pick<ClaimedJob, 'method' | 'upstreamKey'>): boolean =>
  isIdempotent(method) || upstreamKey !== null;

/** It has been taken, and only the question what has become of it is sent. */
const isPolled = ({ runnerState }: ClaimedJob): boolean => polling(runnerState)?.target !== undefined;

function noRoute(job: ClaimedJob, now: number): Decision {
  const { deadlineAt } = job;
  // Whether the route takes the risk is not known any more.
  if (job.reclaimed && !isPolled(job) && !isRepeatableByItself(job))
    return end({ now, retentionMs: DEFAULT_RETENTION_MS }, 'unknown_outcome');
  if (now >= deadlineAt) return end({ now, retentionMs: DEFAULT_RETENTION_MS }, 'deadline');
  const next = {
    kind: 'wait',
    dueAt: Math.min(now + NO_ROUTE_WAIT_MS, deadlineAt),
    reason: 'paused',
    counts: job.reclaimed,
  } as const;
  return { next, waitMs: NO_ROUTE_WAIT_MS, reason: 'paused', runnerState: undefined };
}

function runnerStateOf(job: ClaimedJob): RunnerState {
  const { previousMs = 0, cost = 1, obstacle } = parsedState(job) as Partial<RunnerState>;
  return { previousMs, cost: job.counted > 0 ? cost : 0, obstacle };
}
