import type { Reply } from '../../http/reply.ts';
import type { Attempt, StartListener } from '../../proxy/attempt.ts';
import type { AttemptWatch, SuspicionListener } from '../../proxy/attempt-watch.ts';
import { type Call, isRead } from '../../proxy/call.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import type { Dispatch, Receiver, Relay } from '../../proxy/pipeline.ts';
import { Abort } from '../../runtime/abort.ts';
import { type HedgeDeps, refusalOf, type SecondDeps } from './deps.ts';
import type { HedgeOptions } from './options.ts';
import { ownAttempt, Race, type RaceDeps, type Sent } from './race.ts';
import { NEVER, SlowTrigger, StuckTrigger } from './trigger.ts';

/**
 * Starts a second attempt if the first is slower than most, and uses the first good answer (Dean and Barroso, "The Tail at Scale",
 * 2013). The call must be repeatable and have another attempt left.
 */
export function hedge({ after }: HedgeOptions, deps: HedgeDeps): Relay {
  const { share, budget, clock, latency } = deps;
  const fixedMs = 'ms' in after ? after.ms : undefined;
  const raceDeps = {
    ...deps,
    note: 'hedge',
    mayStart,
    refund: () => {
      budget.refund();
      share.refund();
    },
  } as const;

  return {
    relay: (next) => (call, attempt, receiver) => {
      if (attempt.last || attempt.tally === undefined) return next(call, attempt, receiver);
      share.attempted();
      const sent = { next, call, attempt, signal: attempt.signal, receiver };
      const race = new Race(sent, ownAttempt(sent), raceDeps);
      const ms = fixedMs ?? latency?.percentileMs(clock.now());
      // While too little is known for hedges, the race only measures its latency.
      race.run(ms === undefined ? NEVER : new SlowTrigger(race, clock, ms));
    },
  };

  /** The cheapest checks come first, and those that spend tokens last. */
  function mayStart(call: Call): HedgeResult | undefined {
    const now = clock.now();
    const refusal = refusalOf(call, deps, now);
    if (refusal !== undefined) return refusal;
    if (!share.take()) return 'refused_max_extra';
    if (budget.withdraw(now)) return undefined;
    share.refund();
    return 'refused_budget';
  }
}

/**
 * Starts a second attempt in parallel with a stuck one (a lost connection, a server that hangs). The first is not cut, because it
 * may still be answered. At most once per call, and only for a call that reads: a change could be made twice.
 */
export function hedgeStuck(deps: SecondDeps): Relay {
  const { budget, clock } = deps;
  const raceDeps = {
    ...deps,
    note: 'stuck',
    latency: undefined,
    mayStart: (call: Call): HedgeResult | undefined => {
      const now = clock.now();
      return refusalOf(call, deps, now) ?? (budget.withdraw(now) ? undefined : 'refused_budget');
    },
    refund: () => budget.refund(),
  } as const;

  return {
    relay: (next) => (call, attempt, receiver) => {
      const { last, signal, tally } = attempt;
      if (last || tally === undefined || tally.hedges > 0 || !isRead(call))
        return next(call, attempt, receiver);
      next(call, attempt, new LoneAttempt({ next, call, attempt, signal, receiver }, raceDeps));
    },
  };
}

/** An attempt that becomes the first of a race when it seems to hang. Most attempts never do, so the race is created only then. */
class LoneAttempt implements Sent, Receiver, StartListener, SuspicionListener {
  readonly next: Dispatch;
  readonly call: Call;
  readonly attempt: Attempt;
  readonly signal: Abort;
  readonly receiver: Receiver;
  listensAfter: SuspicionListener | undefined = undefined;
  readonly #deps: RaceDeps;
  #race: Race | undefined;

  constructor({ next, call, attempt, signal, receiver }: Sent, deps: RaceDeps) {
    this.next = next;
    this.call = call;
    this.attempt = attempt;
    this.signal = signal;
    this.receiver = receiver;
    this.#deps = deps;
    attempt.startListener = this;
    // Its own, so that the attempt can be cut.
    attempt.signal = new Abort(signal);
  }

  started(watch: AttemptWatch | undefined): void {
    watch?.onSuspected(this);
  }

  suspected(watch: AttemptWatch): void {
    const race = new Race(this, this.attempt, this.#deps);
    this.#race = race;
    const trigger = new StuckTrigger(race, watch, this.#deps.clock);
    race.join(trigger);
    trigger.look();
  }

  replied(reply: Reply): void {
    (this.#race?.first ?? this.receiver).replied(reply);
  }

  failed(error: unknown): void {
    (this.#race?.first ?? this.receiver).failed(error);
  }
}
