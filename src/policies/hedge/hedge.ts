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
 * Starts a second attempt when the first is slower than most, and takes the first good answer of the two (Dean and
 * Barroso, "The Tail at Scale", 2013). Only where the call may be repeated and another attempt is left to it.
 */
export function hedge({ after }: HedgeOptions, deps: HedgeDeps): Policy {
  const { allowance, budget, clock, latency } = deps;
  const fixedMs = 'ms' in after ? after.ms : undefined;
  const raceDeps = {
    ...deps,
    note: 'hedge',
    mayStart,
    giveBack: () => {
      budget.refund();
      allowance.giveBack();
    },
  } as const;

  return (next) => (call, attempt) => {
    if (attempt.last || attempt.tally === undefined) return next(call, attempt);
    allowance.attempted();
    const ms = fixedMs ?? latency?.percentileMs(clock.now());
    if (ms === undefined) return observed(next, call, attempt);
    const race = new Race(next, call, attempt, raceDeps);
    return race.run(new SlowTrigger(race, clock, ms));
  };

  /** Cheapest question first, and those that spend last. */
  function mayStart(call: Call): HedgeResult | undefined {
    const now = clock.now();
    const refusal = refusalOf(call, deps, now);
    if (refusal !== undefined) return refusal;
    if (!allowance.take()) return 'refused_max_extra';
    if (budget.withdraw(now)) return undefined;
    allowance.giveBack();
    return 'refused_budget';
  }

  /** While too little is known to hedge, the attempt tells how long one takes. */
  async function observed(next: Send, call: Call, attempt: Attempt): Promise<Reply> {
    const runner = new Runner(attempt, clock);
    const reply = await next(call, runner.attempt);
    if (!deps.failing.has(reply.status)) latency?.record(runner.elapsedMs, clock.now());
    return reply;
  }
}

/**
 * Starts a second attempt beside one that is stuck (a lost connection, a hung server of the provider). The first is not
 * cut, because it may be answered yet. At most once for a call, and only for one that reads: a change that still
 * runs might be made twice.
 */
export function besideStuck(deps: SecondDeps): Policy {
  const { budget, clock } = deps;
  const raceDeps = {
    ...deps,
    note: 'stuck',
    latency: undefined,
    mayStart: (call: Call): HedgeResult | undefined => {
      const now = clock.now();
      return refusalOf(call, deps, now) ?? (budget.withdraw(now) ? undefined : 'refused_budget');
    },
    giveBack: () => budget.refund(),
  } as const;

  return (next) => (call, attempt) => {
    const { last, tally } = attempt;
    if (last || tally === undefined || tally.hedges > 0 || !isRead(call)) return next(call, attempt);
    const race = new Race(next, call, attempt, raceDeps);
    return race.run(new StuckTrigger(race, clock));
  };
}
