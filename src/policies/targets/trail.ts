import { headerOf } from '../../http/headers.ts';
import { askedWaitMs, retryAfterMs, withRetryAfter } from '../../http/retry-after.ts';
import type { Reply } from '../../http/reply.ts';
import { type Call, isRepeatable } from '../../proxy/call.ts';
import type { ProxyError } from '../../proxy/errors.ts';
import type { RetryReason } from '../../proxy/events.ts';
import type { Outcome } from '../../proxy/pipeline.ts';
import type { Detour, Repeatable, Trail } from '../../proxy/trail.ts';
import type { Candidate, Chooser } from './choose.ts';
import type { CredentialRefusal } from './credential-gate.ts';
import { stickyTarget } from './sticky.ts';
import type { Readiness, Target } from './target.ts';
import { type Verdict, verdictOfError, verdictOfReply } from './verdict.ts';

/** The targets of a route, and what all its calls share. */
export interface Pool {
  readonly targets: readonly Target[];
  /** Shared by all routes of the upstream. */
  readonly chooser: Chooser;
  /** Lower-case name of the header whose value decides the target; undefined: none. */
  readonly sticky: string | undefined;
  readonly now: () => number;
  readonly wallTime: () => number;
  /** Statuses by which the API reports that it processed nothing. */
  readonly notProcessed: ReadonlySet<number>;
  /** Call when the gate of a target shuts or opens. */
  readonly onGate: (target: Target) => void;
}

/** A call that may fail only once does not probe a target until no other call has for this time. */
const PROBE_GRACE_MS = 2_000;

/** The shortest wait that a client is told. Its call has failed at several targets, so the next one must not follow at once. */
const LEAST_WAIT_MS = 1_000;

interface Refused extends CredentialRefusal {
  readonly target: Target;
}

interface Known extends Candidate {
  readonly target: Target;
}

/** Where the attempts of one call went, and where the next one may go. */
export class CallTrail implements Trail {
  readonly #pool: Pool;
  readonly #call: Call;
  /** The call may go to one target only. */
  readonly #pinned: boolean;
  /** That target; undefined if it is not in service. */
  readonly #only: Target | undefined;
  /** It may have processed the call, which only its idempotency key makes safe to repeat. No other target may know that key. */
  #bound: Target | undefined;
  /** Their credentials were refused, so none gets this call again. */
  readonly #refused: Refused[] = [];
  /** They have failed since the last backoff. */
  readonly #failed = new Set<Target>();
  /** When those that have sent Retry-After may get the call again. */
  readonly #askedUntil = new Map<Target, number>();
  /** Attempts that have no outcome yet are at these. */
  readonly #busy: Target[] = [];
  /** It has answered. The rest of a broken body comes from it alone. */
  #holder: Target | undefined;
  /** The verdict of the latest failed attempt on its target. */
  #verdict: Verdict = 'nothing';

  constructor(pool: Pool, call: Call) {
    this.#pool = pool;
    this.#call = call;
    const { targetName } = call;
    const value = pool.sticky === undefined ? undefined : headerOf(call.headers, pool.sticky);
    this.#pinned = targetName !== undefined || value !== undefined;
    if (targetName !== undefined)
      this.#only = pool.targets.find(({ name, state }) => name === targetName && !state.out);
    else if (value !== undefined) this.#only = stickyTarget(pool.targets, value);
  }

  /** The target of the next attempt; undefined if there is none. */
  next(): Target | undefined {
    const only = this.#holder ?? this.#only;
    const now = this.#pool.now();
    const target = this.#pinned
      ? only
      : (only ?? this.#pool.chooser.choose(this.#candidates(now), now)?.target);
    if (target === undefined) return undefined;
    target.state.load.begin();
    if (target.state.gate.shut !== undefined) target.state.gate.probed(now);
    this.#busy.push(target);
    return target;
  }

  replied(target: Target, reply: Reply, startedAt: number): void {
    this.#left(target);
    const now = this.#pool.now();
    const verdict = verdictOfReply(reply);
    this.#verdict = verdict;
    const asked = askedWaitMs(reply, this.#pool.wallTime());
    if (asked !== undefined) this.#askedUntil.set(target, now + asked);
    if (this.#leavesOpen(reply, verdict)) this.#bind(target);
    if (verdict === 'accepted') return this.#accepted(target, startedAt, now);
    if (verdict === 'nothing') return;
    this.#fail(target, now);
    if (verdict === 'credential') this.#refused.push({ target, status: reply.status, startedAt });
  }

  failedAt(target: Target, error: ProxyError): void {
    this.#left(target);
    this.#verdict = verdictOfError(error);
    if (error.sent !== 'not_sent') this.#bind(target);
    if (this.#verdict !== 'nothing') this.#fail(target, this.#pool.now());
  }

  /** A bug, or an attempt that this proxy has cut. */
  ended(target: Target): void {
    this.#left(target);
    this.#verdict = 'nothing';
  }

  detour(outcome: Outcome, rules: Repeatable): Detour | undefined {
    const verdict = outcome.kind === 'reply' ? verdictOfReply(outcome.reply) : verdictOfError(outcome.error);
    if (this.#pinned || !this.#mayDetour(verdict, outcome, rules)) return undefined;
    const now = this.#pool.now();
    let at = Infinity;
    for (const { target, usableAt } of this.#candidates(now))
      if (!this.#failed.has(target)) at = Math.min(at, usableAt);
    // A refusal of this proxy is that of the target that can take the call first. So its Retry-After is the soonest.
    const atOnce = verdict === 'host' || rules.because === 'rejected';
    if (at === Infinity || (atOnce && at > now)) return undefined;
    return { inMs: Math.max(0, at - now), reason: reasonOf(outcome), sent: wasSent(outcome) };
  }

  again(waited: boolean): void {
    this.#holder = undefined;
    if (waited) this.#failed.clear();
    else this.#noteDetour();
  }

  askedMs(): number | undefined {
    if (this.#askedUntil.size === 0) return undefined;
    const waitMs = this.#soonestMs();
    return waitMs > 0 && waitMs < Infinity ? waitMs : undefined;
  }

  passed(reply: Reply): Reply {
    const verdict = verdictOfReply(reply);
    if (verdict !== 'limit' && verdict !== 'host') return reply;
    const asked = retryAfterMs(reply.headers, this.#pool.wallTime());
    const soonest = Math.max(LEAST_WAIT_MS, this.#soonestMs());
    if (asked === undefined || asked <= soonest) return reply;
    return { ...reply, headers: withRetryAfter(reply.headers, soonest) };
  }

  /** Milliseconds until the first target can take the call again; Infinity if none ever can. */
  #soonestMs(): number {
    const now = this.#pool.now();
    return Math.max(0, Math.min(...this.#known(now).map(({ usableAt }) => usableAt - now)));
  }

  #noteDetour(): void {
    const verdict = this.#verdict;
    if (verdict === 'credential' || verdict === 'limit' || verdict === 'host')
      this.#call.journal.note('moved', verdict);
  }

  /**
   * A refused credential was not processed, so any call may go elsewhere. The same holds for a limit that the API states by a rule.
   * Everything else follows the retry rules: another target does not make it safe to send twice.
   */
  #mayDetour(verdict: Verdict, outcome: Outcome, { retry, because }: Repeatable): boolean {
    if (because === 'rejected') return verdict !== 'nothing';
    if (verdict === 'credential' || retry === 'yes') return verdict !== 'nothing' && verdict !== 'accepted';
    return verdict === 'limit' && because !== 'not_idempotent' && (isRuled(outcome) || this.#isRepeatable);
  }

  get #isRepeatable(): boolean {
    return isRepeatable(this.#call);
  }

  /** Whether the target may have processed the call, and the call may be repeated nevertheless. */
  #leavesOpen({ status, classification }: Reply, verdict: Verdict): boolean {
    if (verdict === 'limit' || verdict === 'credential') return false;
    if (status < 400 && classification?.kind === undefined) return false;
    return classification?.kind !== 'not_processed' && !this.#pool.notProcessed.has(status);
  }

  #bind(target: Target): void {
    if (this.#needsKey) this.#bound ??= target;
  }

  /** Only the idempotency key makes the call safe to repeat. */
  get #needsKey(): boolean {
    const call = this.#call;
    return call.idempotencyKey !== undefined && !isRepeatable({ ...call, idempotencyKey: undefined });
  }

  /** The only target that may get the call now; undefined: every one may. An attempt that still runs may have been processed. */
  get #sole(): Target | undefined {
    return this.#bound ?? this.#only ?? (this.#busy.length > 0 && this.#needsKey ? this.#busy[0] : undefined);
  }

  #accepted(target: Target, startedAt: number, now: number): void {
    this.#holder = target;
    if (target.state.gate.accepted(startedAt)) this.#pool.onGate(target);
    for (const { target: other, status, startedAt: at } of this.#refused)
      if (other.state.gate.refused({ status, startedAt: at }, now)) this.#pool.onGate(other);
    this.#refused.length = 0;
  }

  #fail(target: Target, now: number): void {
    target.state.load.fail(now);
    const { host } = target;
    for (const one of this.#pool.targets)
      if (one === target || (this.#verdict === 'host' && one.host === host)) this.#failed.add(one);
  }

  #left(target: Target): void {
    const at = this.#busy.indexOf(target);
    if (at >= 0) this.#busy.splice(at, 1);
  }

  /** Targets that have failed are candidates only without others. Those that work on this call, only while no other can take it. */
  #candidates(now: number): readonly Known[] {
    const known = this.#known(now);
    if (this.#failed.size === 0 && this.#busy.length === 0) return known;
    const untried = known.filter(({ target }) => !this.#failed.has(target));
    const idle = untried.filter(({ target }) => !this.#busy.includes(target));
    if (idle.some(({ usableAt }) => usableAt <= now)) return idle;
    return untried.length > 0 ? untried : known;
  }

  /** Targets that may get the call, now or later. One that has refused its credential never does. */
  #known(now: number): readonly Known[] {
    const known: Known[] = [];
    const only = this.#sole;
    for (const target of only === undefined ? this.#pool.targets : [only])
      if (!target.state.out && !this.#refused.some((one) => one.target === target))
        known.push(this.#knownOf(target, now));
    return known;
  }

  #knownOf(target: Target, now: number): Known {
    const { load, gate } = target.state;
    const readiness = target.readiness(this.#call, now);
    const usableAt = this.#usableAt(target, readiness, now);
    return { target, load, usableAt, refuses: readiness.refuses || gate.shut !== undefined };
  }

  #usableAt(target: Target, { at, probe }: Readiness, now: number): number {
    const { state } = target;
    const { shut } = state.gate;
    const usableAt = Math.max(at, shut?.probeAt ?? at, this.#askedUntil.get(target) ?? at);
    if (!probe && shut === undefined) {
      state.probeDueAt = undefined;
      return usableAt;
    }
    if (usableAt > now) return usableAt;
    state.probeDueAt ??= now;
    return isRepeatable(this.#call) && this.#call.body.replayable
      ? usableAt
      : state.probeDueAt + PROBE_GRACE_MS;
  }
}

function reasonOf(outcome: Outcome): RetryReason {
  if (outcome.kind === 'error') return outcome.error.code;
  const { status, grpc } = outcome.reply;
  return grpc === undefined ? `status_${status}` : `grpc_${grpc}`;
}

/** An error rule of the API says that a limit is reached. */
const isRuled = (outcome: Outcome): boolean =>
  outcome.kind === 'reply' && outcome.reply.classification?.throttled === true;

const wasSent = (outcome: Outcome): boolean => outcome.kind === 'reply' || outcome.error.sent !== 'not_sent';
