import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, isRead } from '../../proxy/call.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import type { Policy, Send } from '../../proxy/pipeline.ts';
import { type HedgeDeps, refusalOf, type SecondDeps } from './deps.ts';
import type { HedgeOptions } from './options.ts';
import { Race } from './race.ts';
import { Runner } from './runner.ts';
import { SlowTrigger, StuckTrigger } from './trigger.ts';

/**
 * Starts a second attempt if the first is slower than most, and uses the first good answer (Dean and Barroso, "The Tail at Scale",
 * 2013). The call must be repeatable and have another attempt left.
 */
export function hedge({ after }: HedgeOptions, deps: HedgeDeps): Policy {
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

  return (next) => (call, attempt) => {
    if (attempt.last || attempt.tally === undefined) return next(call, attempt);
    share.attempted();
    const ms = fixedMs ?? latency?.percentileMs(clock.now());
    if (ms === undefined) return observed(next, call, attempt);
    const race = new Race(next, call, attempt, raceDeps);
    return race.run(new SlowTrigger(race, clock, ms));
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

  /** Sends one attempt and measures its latency, while too little is known for hedges. */
  async function observed(next: Send, call: Call, attempt: Attempt): Promise<Reply> {
    const runner = new Runner(attempt, clock);
    const reply = await next(call, runner.attempt);
    if (!deps.failing.has(reply.status)) latency?.record(runner.elapsedMs, clock.now());
    return reply;
  }
}

/**
 * Starts a second attempt in parallel with a stuck one (a lost connection, a server that hangs). The first is not cut, because it
 * may still be answered. At most once per call, and only for a call that reads: a change could be made twice.
 */
export function hedgeStuck(deps: SecondDeps): Policy {
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

  return (next) => (call, attempt) => {
    const { last, tally } = attempt;
    if (last || tally === undefined || tally.hedges > 0 || !isRead(call)) return next(call, attempt);
    const race = new Race(next, call, attempt, raceDeps);
    return race.run(new StuckTrigger(race, clock));
  };
}
