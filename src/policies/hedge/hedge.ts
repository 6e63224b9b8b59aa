import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { HedgeResult } from '../../proxy/notes.ts';
import type { Policy, Send } from '../../proxy/pipeline.ts';
import type { HedgeDeps } from './deps.ts';
import type { HedgeOptions } from './options.ts';
import { Race } from './race.ts';
import { Runner } from './runner.ts';

/**
 * Starts a second attempt when the first is slower than most, and takes the first good answer of the two (Dean and
 * Barroso, "The Tail at Scale", 2013). Only where the call may be repeated and another attempt is left to it.
 */
export function hedge({ after }: HedgeOptions, deps: HedgeDeps): Policy {
  const { allowance, clock, latency } = deps;
  const fixedMs = 'ms' in after ? after.ms : undefined;

  return (next) => (call, attempt) => {
    if (attempt.last || attempt.tally === undefined) return next(call, attempt);
    allowance.attempted();
    const ms = fixedMs ?? latency?.percentileMs(clock.now());
    if (ms === undefined) return observed(next, call, attempt);
    return new Race(next, call, attempt, { ...deps, mayStart }).run(ms);
  };

  /** Cheapest question first, and those that spend last. */
  function mayStart(call: Call): HedgeResult | undefined {
    const now = clock.now();
    if (!call.body.replayable) return 'refused_body';
    if (!deps.breakerClosed(now)) return 'refused_breaker';
    if (!deps.quotaHasRoom(call)) return 'refused_quota';
    if (!allowance.take()) return 'refused_max_extra';
    if (deps.budget.withdraw(now)) return undefined;
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
