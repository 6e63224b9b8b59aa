import { BufferedReply } from '../../http/bodies/buffered-reply.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { blamesUpstream, ProxyError } from '../../proxy/errors.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import type { Dispatch, Outcome, Receiver } from '../../proxy/pipeline.ts';
import { Abort } from '../../runtime/abort.ts';
import type { HedgeDeps, SecondDeps } from './deps.ts';
import { Runner, type RunnerOwner } from './runner.ts';
import type { Alone, Trigger } from './trigger.ts';

export interface RaceDeps
  extends Pick<SecondDeps, 'clock' | 'failing' | 'memory'>,
    Pick<HedgeDeps, 'latency'> {
  /** The note for the result. */
  readonly note: 'hedge' | 'stuck';
  /** Why the second attempt may not start; undefined: it may, and it is paid for. */
  readonly mayStart: (call: Call) => HedgeResult | undefined;
  /** Refunds a second attempt that was not sent. */
  readonly refund: () => void;
}

/** An attempt that was sent onward, and who receives its outcome. */
export interface Sent {
  readonly next: Dispatch;
  readonly call: Call;
  readonly attempt: Attempt;
  /** The signal for all attempts of the race. */
  readonly signal: Abort;
  readonly receiver: Receiver;
}

/** The first failure, while the other attempt still runs. */
interface Failed {
  readonly runner: Runner;
  readonly outcome: Outcome;
  /** Its buffered reply. Reading it frees its connection. */
  readonly buffered: BufferedReply | undefined;
}

/**
 * An attempt and, if it takes long, a second one in parallel:
 *
 * - alone → two: a second one is due and allowed
 * - alone → over: it has ended with a reply or an error, and the outer policies decide what follows
 * - two → over: one is answered well, and the other is ended; or both have failed, and the first failure counts
 * - two → alone: this proxy refused the second attempt before it was sent
 */
export class Race implements Alone, RunnerOwner {
  readonly call: Call;
  readonly first: Runner;
  readonly #sent: Sent;
  readonly #deps: RaceDeps;
  #second: Runner | undefined;
  /** The number of attempts that still run. */
  #running = 0;
  #trigger: Trigger | undefined;
  /** The last refusal that was reported. */
  #refused: HedgeResult | undefined;
  #failed: Failed | undefined;
  #over = false;

  /** `first`: the first attempt, with a signal of its own. */
  constructor(sent: Sent, first: Attempt, deps: RaceDeps) {
    this.call = sent.call;
    this.#sent = sent;
    this.#deps = deps;
    this.first = new Runner(this, first, deps.clock);
  }

  /** Sends the first attempt. `trigger` decides when a second attempt may start. */
  run(trigger: Trigger): void {
    this.#trigger = trigger;
    this.#start(this.first);
  }

  /** As `run`, for a first attempt that has left already. */
  join(trigger: Trigger): void {
    this.#trigger = trigger;
    this.#running++;
  }

  #start(runner: Runner): void {
    this.#running++;
    this.#sent.next(this.call, runner.attempt, runner);
  }

  startSecond(afterMs: number): boolean {
    const refusal = this.#deps.mayStart(this.call);
    if (refusal !== undefined) {
      this.#reportRefusal(refusal);
      return false;
    }
    this.#count(1);
    const number = this.#sent.attempt.number + 1;
    this.call.journal.hedgeStarted(number, afterMs);
    this.#second = new Runner(this, ownAttempt(this.#sent, number), this.#deps.clock);
    this.#start(this.#second);
    return true;
  }

  arrived(runner: Runner, outcome: Outcome): void {
    this.#running--;
    if (this.#over) return discard(outcome);
    if (outcome.kind === 'reply' && this.#isGood(runner, outcome.reply)) {
      return this.#win(runner, outcome.reply);
    }
    if (runner === this.#second && isRefusal(outcome)) return this.#unsent();
    if (this.#running === 0) return this.#fail({ runner, outcome, buffered: undefined });
    const buffered =
      outcome.kind === 'reply' ? new BufferedReply(outcome.reply, this.#deps.memory) : undefined;
    this.#failed = { runner, outcome, buffered };
  }

  #isGood(runner: Runner, reply: Reply): boolean {
    if (!isGood(reply, this.#deps.failing)) return false;
    return this.#running === 0 || !mayBeOurDoing(reply, runner === this.#second);
  }

  #win(runner: Runner, reply: Reply): void {
    const { clock, latency } = this.#deps;
    // A first attempt that lost would have taken longer. Without its time, the percentile would fall with each hedge.
    if (this.#failed?.runner !== this.first) latency?.record(this.first.elapsedMs, clock.now());
    this.#end();
    this.#endOther(runner);
    if (runner === this.#second) this.#report('won');
    else if (this.#second !== undefined) this.#report(this.#failed === undefined ? 'lost' : 'failed');
    this.#sent.receiver.replied(reply);
  }

  /** Both attempts have failed, or the only one has. The first failure counts, if it could be buffered. */
  #fail(last: Failed): void {
    const first = this.#failed ?? last;
    const { outcome } = first;
    if (this.#second !== undefined) this.#report(this.#sent.signal.aborted ? 'client_gone' : 'failed');
    const buffered = first.buffered?.take();
    this.#end();
    if (first !== last && (buffered !== undefined || outcome.kind === 'error')) discard(last.outcome);
    if (buffered !== undefined) this.#sent.receiver.replied(buffered);
    else if (first.buffered !== undefined) this.#settle(last.outcome);
    else this.#settle(outcome);
  }

  #settle(outcome: Outcome): void {
    if (outcome.kind === 'reply') this.#sent.receiver.replied(outcome.reply);
    else this.#sent.receiver.failed(outcome.error);
  }

  /** Nothing of the second attempt was sent, so it is undone. */
  #unsent(): void {
    this.#deps.refund();
    this.#count(-1);
    this.#reportRefusal('refused');
    this.#second = undefined;
    if (this.#failed !== undefined) this.#fail(this.#failed);
    else this.#trigger?.refused();
  }

  /** Counts the second attempt of the call, or the one that was not sent. */
  #count(change: 1 | -1): void {
    const { tally } = this.#sent.attempt;
    if (tally !== undefined) tally.hedges += change;
  }

  /** Ends the race and the other attempt. */
  broke(runner: Runner, bug: unknown): void {
    this.#running--;
    if (this.#over) return;
    this.#end();
    this.#endOther(runner);
    this.#sent.receiver.failed(bug);
  }

  #end(): void {
    this.#over = true;
    this.#trigger?.cancel();
    this.#failed?.buffered?.drop();
  }

  /** Ends the other attempt, if it still runs. */
  #endOther(runner: Runner): void {
    const other = runner === this.first ? this.#second : this.first;
    if (this.#running > 0) other?.attempt.signal.abort(lost());
  }

  /** A refusal that repeats is reported once. */
  #reportRefusal(refusal: HedgeResult): void {
    if (refusal !== this.#refused) this.#report(refusal);
    this.#refused = refusal;
  }

  #report(result: HedgeResult): void {
    this.call.journal.note(this.#deps.note, result);
  }
}

const CONFLICT = 409;

function lost(): ProxyError {
  return new ProxyError('hedge_lost', 'the other attempt was answered first', { sent: 'sent_unknown' });
}

/** True if this proxy refused the attempt, so that nothing was sent. */
function isRefusal(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.error.code !== 'client_gone' && !blamesUpstream(outcome.error);
}

/** True if neither the status nor an error rule makes the reply one that is retried. */
function isGood({ status, classification }: Reply, failing: ReadonlySet<number>): boolean {
  if (failing.has(status) || classification?.throttled === true) return false;
  return classification?.kind === undefined || classification.kind === 'permanent';
}

/**
 * While both attempts run, one may fail because of the other: a conflict, a second poll, a link that works once. So a 409, and any
 * 4xx of the second attempt, wait for the answer of the other.
 */
function mayBeOurDoing({ status }: Reply, second: boolean): boolean {
  return status === CONFLICT || (second && status >= 400);
}

function discard(outcome: Outcome): void {
  if (outcome.kind === 'reply') outcome.reply.body.discard();
}

/**
 * An attempt of a race. Its signal is its own, so that it can be cut. No attempt of a race is the last, so interim replies wait for
 * the head, and only the winner's are passed on. It has no hedges of its own, because the race counts its attempts.
 */
export function ownAttempt({ attempt, signal }: Sent, number = attempt.number): Attempt {
  return attempt.with({ number, signal: new Abort(signal), tally: undefined });
}
