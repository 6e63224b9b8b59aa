import type { ByteBudget } from '../http/byte-budget.ts';
import { isIdempotent } from '../http/methods.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { type Attempted, attempt } from './attempt.ts';
import type { RequestEnd } from './callbacks/callback.ts';
import type { Credentials } from './credentials.ts';
import { type Decision, deferral, end, type Memo } from './decision.ts';
import { noBudget, refusalOf, SEALED, type WaitRefusal } from './fates.ts';
import type { ClaimedJob, Job, NewJob } from './job.ts';
import type { DurableRoute, Ended, Judgement } from './route.ts';
import type { Running } from './runner.ts';
import { lost, type Made, parsedMemo, settlementOf } from './settlement.ts';
import type { Settlement } from './store/store.ts';
import { type Turn, turnOf } from './until/next-request.ts';
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
const PER_UNPAID_MS = 50;

const UNREADABLE =
  'the stored credentials cannot be decrypted: durable.credentials_key is missing or was changed';

const CUT = 'Cancelled during an attempt. Outcome unknown: the upstream may have processed the request';

/** A request whose route is gone from the configuration: it may come back. */
const NO_ROUTE_WAIT_MS = 60_000;

/** An attempt's row without what came from outside. */
const NOTHING_FOREIGN = {
  detail: undefined,
  waitMs: undefined,
  reason: 'unwritable',
  replyHead: undefined,
} as const;

/** What ends without a route is kept for so long. */
const KEPT_MS = 86_400_000;

/** Runs a claimed request once, unless something is in its way, and says what is to be kept of it. */
export class Dispatch {
  readonly #deps: DispatchDeps;
  readonly #unpaid = new Map<string, number>();

  constructor(deps: DispatchDeps) {
    this.#deps = deps;
  }

  get owner(): string {
    return this.#deps.owner;
  }

  /** Undefined: the store is to find out by itself, for nobody knows what became of it. */
  async run(running: Running, route: DurableRoute | undefined): Promise<Settlement | undefined> {
    const { job } = running;
    const now = this.#deps.clock.wallTime();
    const turn = route && turnOf(job, route);
    const made = job.reclaimed ? lost(job) : undefined;
    if (route === undefined || turn === undefined) return this.#settlement(job, noRoute(job, now), made);
    const times = { now, retentionMs: route.options.retentionMs };
    if (typeof turn === 'string') return this.#settlement(job, end(times, 'not_retryable', turn), made);
    const start = { route, at: now, turn, memo: memoOf(job), repeatable: isRepeatable(turn.job, turn.route) };
    // An attempt whose process is gone is a failed attempt: it counts, and the next one waits as after any other.
    if (made !== undefined) return this.#settlement(job, this.#decide(job, { ...start, ...made }), made);
    return this.#send(running, start);
  }

  async #send(running: Running, start: Start): Promise<Settlement | undefined> {
    const { job } = running;
    const { memo, repeatable, turn } = start;
    const opened = this.#deps.credentials.open(turn.job, !isRequest(turn));
    const hindered = this.#hindrance(start, opened === undefined);
    if (hindered !== undefined) return this.#settlement(job, hindered);
    const { headers, target } = opened ?? turn.job;
    const parts = {
      job: { ...turn.job, target },
      headers,
      route: turn.route,
      repeatable,
      signal: running.signal,
    };
    const attempted = await attempt(parts, this.#deps);
    if (!attempted.sent && memo.cost > 0) turn.route.refund(memo.cost);
    return this.#settle(running, { ...start, attempted });
  }

  /** The end of a request whose result the store cannot write: what is known of its attempt, in our own words. */
  unwritable(job: ClaimedJob, { entry, now }: Settlement, route: DurableRoute | undefined): Settlement {
    const ended = end({ now, retentionMs: route?.options.retentionMs ?? KEPT_MS }, 'unwritable');
    const settlement = this.#settlement(job, ended, entry && { ...lost(job), n: entry.n });
    return { ...settlement, entry: entry && { ...entry, ...NOTHING_FOREIGN } };
  }

  /** What comes in place of an attempt: the end, or a wait. It takes the attempt's cost from the budget otherwise. */
  #hindrance({ route, turn, memo, at: now }: Start, sealed: boolean): Decision | undefined {
    const { job, before } = turn;
    const late = now >= job.deadlineAt;
    const tooLate = () => {
      const why = memo.obstacle && `The deadline has passed. The request was not sent: ${memo.obstacle}`;
      return end({ now, retentionMs: route.options.retentionMs }, 'deadline', why);
    };
    const wait = (refusal: WaitRefusal, message: string) =>
      late ? tooLate() : deferral({ message, retryAfterMs: undefined }, refusal, this.#times(job, now));
    // A request that is polled is asked about once more when its time is over: it may have come to its end meanwhile.
    if (late && before === undefined) return tooLate();
    if (sealed) return wait(SEALED, UNREADABLE);
    if (memo.cost === 0 || this.#pay(job.route, () => turn.route.withdraw(memo.cost))) return undefined;
    return wait(noBudget(BUDGET_WAIT_MS + (this.#unpaid.get(job.route) ?? 0) * PER_UNPAID_MS), 'no budget');
  }

  #times({ deadlineAt }: ClaimedJob, now: number) {
    return { now, deadlineAt, random: this.#deps.random };
  }

  #settle(running: Running, facts: Facts): Settlement | undefined {
    const { job, cancelled } = running;
    const { attempted, at, turn } = facts;
    const { response, sent } = attempted;
    if (sent && !cancelled && isCut(attempted)) return undefined;
    const made = sent ? { attempted, at } : undefined;
    if (cancelled && response === undefined) return this.#settlement(job, this.#cancelled(facts), made);
    const decision = this.#decide(job, facts);
    this.#tellPolled(job, turn, decision);
    const shown = made && { ...made, ...shownOf(decision, turn.before) };
    const goesOn = decision.next.kind === 'wait';
    return this.#settlement(job, cancelled && goesOn ? this.#cancelled(facts) : decision, shown);
  }

  #cancelled({ attempted, route, turn }: Facts): Decision {
    const times = { now: this.#deps.clock.wallTime(), retentionMs: route.options.retentionMs };
    const unknown = attempted.sent && attempted.response === undefined && isRequest(turn);
    return end(times, 'cancelled', unknown ? CUT : undefined);
  }

  #decide(job: ClaimedJob, { attempted, repeatable, memo, route, turn }: Facts): PollDecision {
    const { options, polls } = route;
    const ended: Ended = {
      outcome: attempted.outcome,
      method: turn.job.method,
      repeatable,
      attempt: job.counted + 1,
      previousMs: memo.previousMs,
      now: this.#deps.clock.wallTime(),
      deadlineAt: job.deadlineAt,
    };
    const judgement = judge(job, ended, turn.route);
    const submitted = polls && { ground: polls, target: job.target };
    const { response } = attempted;
    const { poll, retentionMs } = options;
    const rules = { retentionMs, random: this.#deps.random };
    return afterAttempt({ ended, judgement, response, poll, before: turn.before, submitted }, rules);
  }

  #tellPolled({ route: scope }: ClaimedJob, { route }: Turn, { result }: PollDecision): void {
    if (result === undefined) return;
    this.#deps.observer.stateChanged(route.upstream, { type: 'durable_polled', scope, result });
  }

  #settlement(job: ClaimedJob, decision: Decision, made?: Made): Settlement {
    const { owner, clock, callbacks } = this.#deps;
    return settlementOf(job, decision, made, { owner, now: clock.wallTime(), callbacks });
  }

  /** Counts refusals in a row: a backlog that the budget does not pay for must not be asked about all the time. */
  #pay(route: string, withdraw: () => boolean): boolean {
    const paid = withdraw();
    if (paid) this.#unpaid.delete(route);
    else this.#unpaid.set(route, (this.#unpaid.get(route) ?? 0) + 1);
    return paid;
  }
}

/** What we would not send ourselves, the table of fates knows; the rest the route judges. */
function judge(job: ClaimedJob, ended: Ended, route: DurableRoute): Judgement {
  const { outcome } = ended;
  const refusal = outcome.kind === 'error' ? refusalOf(outcome.error, job) : undefined;
  if (outcome.kind === 'reply' || refusal === undefined) return route.judge(ended);
  return { kind: 'refused', error: outcome.error, refusal };
}

/** A request before its attempt. */
interface Start {
  /** Its own; what is polled may go by another one. */
  readonly route: DurableRoute;
  readonly turn: Turn;
  /** Wall-clock milliseconds. */
  readonly at: number;
  readonly repeatable: boolean;
  readonly memo: Memo;
}

interface Facts extends Start {
  readonly attempted: Attempted;
}

/** And not a question about it. */
const isRequest = ({ before }: Turn): boolean => before?.target === undefined;

const isCut = ({ outcome }: Attempted): boolean =>
  outcome.kind === 'error' && outcome.error.code === 'draining';

function shownOf({ detail, result, next }: PollDecision, before: PollState | undefined) {
  const unchanged = result === 'unchanged' && next.kind === 'wait';
  return { detail, unchanged, keepsFirst: unchanged || before?.target !== undefined };
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
const isAsked = ({ memo }: ClaimedJob): boolean => polling(memo)?.target !== undefined;

function noRoute(job: ClaimedJob, now: number): Decision {
  const { deadlineAt } = job;
  // Whether the route takes the risk is not known any more.
  if (job.reclaimed && !isAsked(job) && !isRepeatableByItself(job))
    return end({ now, retentionMs: KEPT_MS }, 'unknown_outcome');
  if (now >= deadlineAt) return end({ now, retentionMs: KEPT_MS }, 'deadline');
  const next = {
    kind: 'wait',
    dueAt: Math.min(now + NO_ROUTE_WAIT_MS, deadlineAt),
    reason: 'paused',
    counts: job.reclaimed,
  } as const;
  return { next, waitMs: NO_ROUTE_WAIT_MS, reason: 'paused', memo: undefined };
}

function memoOf(job: ClaimedJob): Memo {
  const { previousMs = 0, cost = 1, obstacle } = parsedMemo(job) as Partial<Memo>;
  return { previousMs, cost: job.counted > 0 ? cost : 0, obstacle };
}
