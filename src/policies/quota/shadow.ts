import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import type { After, Hook } from '../../proxy/pipeline.ts';
import type { Demand } from './demand.ts';
import { AdmittedAttempt, type QuotaPolicies, type QuotaPolicyDeps, UntrackedAttempt } from './policy.ts';
import type { Quota } from './quota.ts';

/**
 * The quota in shadow mode. Every attempt leaves at once. One that would have had to wait is noted, and is then invisible to the
 * quota: it takes no tokens and nothing is learned from its reply, as if it had been refused. Otherwise attempts beyond a window
 * would run up a debt, and all later ones would be noted too.
 */
export function shadowQuota(quota: Quota, deps: QuotaPolicyDeps): QuotaPolicies {
  // No attempt is sent back, so the inner part has nothing to do.
  return { outer: new ShadowAdmission(quota, deps), inner: { before: () => undefined } };
}

class ShadowAdmission implements Hook {
  readonly #quota: Quota;
  readonly #deps: QuotaPolicyDeps;

  constructor(quota: Quota, deps: QuotaPolicyDeps) {
    this.#quota = quota;
    this.#deps = deps;
  }

  before(call: Call, attempt: Attempt): After | undefined | Promise<After | undefined> {
    if (this.#quota.isUntracked) {
      const untracked = new UntrackedAttempt(this.#quota, call, attempt, this.#deps.clock);
      untracked.start();
      return untracked;
    }
    const demand = this.#quota.demandOf(call);
    return demand instanceof Promise
      ? demand.then((read) => this.#enter(call, attempt, read))
      : this.#enter(call, attempt, demand);
  }

  #enter(call: Call, attempt: Attempt, demand: Demand): After | undefined {
    const queue = this.#quota.queueOf(call);
    const now = this.#deps.clock.now();
    const held = queue.tryEnter(call, demand);
    if (held !== undefined) {
      const { shape } = demand;
      if (held.start(now))
        return new AdmittedAttempt({ call, attempt, queue, held, shape }, this.#quota, this.#deps);
      held.refund(now);
    }
    call.journal.note('shadow_rejected', 'quota');
    return undefined;
  }
}
