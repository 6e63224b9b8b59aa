import { BufferedReply } from '../../http/bodies/buffered-reply.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { blamesUpstream, ProxyError } from '../../proxy/errors.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import { type Outcome, type Send, settle } from '../../proxy/pipeline.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { HedgeDeps } from './deps.ts';
import { Runner } from './runner.ts';

export interface RaceDeps
  extends Pick<HedgeDeps, 'allowance' | 'budget' | 'clock' | 'failing' | 'latency' | 'memory'> {
  /** Undefined: yes, and it is paid for. */
  readonly mayStart: (call: Call) => HedgeResult | undefined;
}

/** A failure that came first, while the other attempt still runs. */
interface Failed {
  readonly runner: Runner;
  readonly outcome: Outcome;
  /** Its reply, read so that its connection is free. */
  readonly kept: BufferedReply | undefined;
}

/**
 * An attempt and, if it takes long, a second one beside it:
 *
 * - alone → two: its time has passed, and a hedge is allowed
 * - alone → over: it is answered, well or not: what follows is for others to say
 * - two → over: one is answered well, and the other is ended; or both have failed, and the first failure counts
 * - two → alone: the hedge was refused by ourselves before it was sent
 */
export class Race {
  readonly #next: Send;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #deps: RaceDeps;
  readonly #result = Promise.withResolvers<Reply>();
  /** Those that have neither been answered nor failed. */
  readonly #running = new Set<Runner>();
  readonly #primary: Runner;
  #hedge: Runner | undefined;
  #timer: Timer | undefined;
  #failed: Failed | undefined;
  #over = false;

  constructor(next: Send, call: Call, attempt: Attempt, deps: RaceDeps) {
    this.#next = next;
    this.#call = call;
    this.#attempt = attempt;
    this.#deps = deps;
    this.#primary = this.#runner(attempt.number);
  }

  /** Settles with the reply to use; once the attempt has taken `ms`, a second one may start. */
  run(ms: number): Promise<Reply> {
    this.#start(this.#primary);
    this.#wait(ms, ms);
    return this.#result.promise;
  }

  #runner(number: number): Runner {
    const signal = new Abort(this.#attempt.signal);
    return new Runner(this.#attempt.with({ number, signal, onInterim: undefined }), this.#deps.clock);
  }

  #start(runner: Runner): void {
    this.#running.add(runner);
    settle(this.#next, this.#call, runner.attempt).then(
      (outcome) => this.#arrived(runner, outcome),
      (bug: unknown) => this.#broke(runner, bug),
    );
  }

  /** From its start, or from when the client last brought its upload on: a slow upload is not a slow upstream. */
  #wait(delayMs: number, ms: number): void {
    const { clock } = this.#deps;
    this.#timer = clock.timer(delayMs, () => {
      const now = clock.now();
      const since = Math.max(this.#primary.startedAt ?? now, this.#call.body.broughtOnAt(now));
      const left = since + ms - now;
      if (left > 0) this.#wait(left, ms);
      else this.#startHedge(ms);
    });
  }

  #startHedge(afterMs: number): void {
    const { tally } = this.#attempt;
    const refusal = this.#deps.mayStart(this.#call);
    if (refusal !== undefined || tally === undefined) return this.#report(refusal ?? 'refused');
    const attempt = this.#attempt.number + ++tally.hedges;
    this.#call.journal.hedgeStarted(attempt, afterMs);
    this.#hedge = this.#runner(attempt);
    this.#start(this.#hedge);
  }

  #arrived(runner: Runner, outcome: Outcome): void {
    this.#running.delete(runner);
    letGo(runner, outcome);
    if (this.#over) return discard(outcome);
    if (outcome.kind === 'reply' && isGood(outcome.reply, this.#deps.failing)) {
      return this.#win(runner, outcome.reply);
    }
    if (runner === this.#hedge && isRefusal(outcome)) return this.#unhedge();
    if (this.#running.size === 0) return this.#fail({ runner, outcome, kept: undefined });
    const kept = outcome.kind === 'reply' ? new BufferedReply(outcome.reply, this.#deps.memory) : undefined;
    this.#failed = { runner, outcome, kept };
  }

  #win(runner: Runner, reply: Reply): void {
    const { clock, latency } = this.#deps;
    // One that was overtaken would have taken longer still: leaving it out would make the percentile fall with each hedge.
    if (this.#failed?.runner !== this.#primary) latency?.record(this.#primary.elapsedMs, clock.now());
    this.#end();
    for (const loser of this.#running) loser.attempt.signal.abort(lost());
    if (runner === this.#hedge) this.#report('won');
    else if (this.#hedge !== undefined) this.#report(this.#failed === undefined ? 'lost' : 'failed');
    this.#result.resolve(reply);
  }

  /** Both have failed, or the only one. The first one's failure counts, if it could be kept. */
  #fail(last: Failed): void {
    const first = this.#failed ?? last;
    const { outcome } = first;
    if (this.#hedge !== undefined) this.#report(this.#attempt.signal.aborted ? 'client_gone' : 'failed');
    const kept = first.kept?.take();
    this.#end();
    if (first !== last && (kept !== undefined || outcome.kind === 'error')) discard(last.outcome);
    if (kept !== undefined) this.#result.resolve(kept);
    else if (first.kept !== undefined) this.#settle(last.outcome);
    else this.#settle(outcome);
  }

  #settle(outcome: Outcome): void {
    if (outcome.kind === 'reply') this.#result.resolve(outcome.reply);
    else this.#result.reject(outcome.error);
  }

  /** Nothing of it was sent: it is as if it had not been tried. */
  #unhedge(): void {
    this.#deps.budget.refund();
    this.#deps.allowance.giveBack();
    this.#report('refused');
    this.#hedge = undefined;
    if (this.#failed !== undefined) this.#fail(this.#failed);
  }

  /** A fault of ours ends the race, and the other attempt with it. */
  #broke(runner: Runner, bug: unknown): void {
    this.#running.delete(runner);
    runner.attempt.signal.detach();
    this.#end();
    for (const other of this.#running) other.attempt.signal.abort(lost());
    this.#result.reject(bug);
  }

  #end(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#failed?.kept?.drop();
  }

  #report(result: HedgeResult): void {
    this.#call.journal.note('hedge', result);
  }
}

function lost(): ProxyError {
  return new ProxyError('hedge_lost', 'the other attempt was answered first', { sent: 'sent_unknown' });
}

/** Our own word, before anything was sent. */
function isRefusal(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.error.code !== 'client_gone' && !blamesUpstream(outcome.error);
}

/** Neither its status nor what it means on this API is one that a retry would follow. */
function isGood({ status, classification }: Reply, failing: ReadonlySet<number>): boolean {
  if (failing.has(status) || classification?.throttled === true) return false;
  return classification?.kind === undefined || classification.kind === 'permanent';
}

function discard(outcome: Outcome): void {
  if (outcome.kind === 'reply') outcome.reply.body.discard();
}

/** Its signal follows the call's until its body has ended, so that a client who leaves in the body is still heard. */
function letGo({ attempt }: Runner, outcome: Outcome): void {
  if (outcome.kind === 'error') attempt.signal.detach();
  else outcome.reply.body.onEnd(() => attempt.signal.detach());
}
