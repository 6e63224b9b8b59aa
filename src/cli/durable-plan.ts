import type { RouteConfig } from '../config/config.ts';
import { formatDuration } from '../config/fields/format.ts';
import { durableRules } from '../policies/retry/durable-rules.ts';
import { describePolling, type PollPlan, pollPlan } from './poll-plan.ts';
import { type RetryRule, retryRules, type Schedule, scheduleOf } from './retry-plan.ts';
import { describeRules } from './retry-rules-text.ts';
import { table } from './table.ts';

/** What becomes of a request that is handed over and whose attempts all fail. */
export interface DurablePlan {
  readonly attempts: number;
  readonly deadlineMs: number;
  readonly retentionMs: number;
  /** Undefined: adaptive. */
  readonly concurrency: number | undefined;
  readonly onUnknown: 'hold' | 'retry';
  /** The failures after which it is sent again; empty with one attempt. */
  readonly retried: readonly RetryRule[];
  readonly schedule: Pick<Schedule, 'waits' | 'sum'>;
  /** Undefined where every good reply is the final one. */
  readonly poll: PollPlan | undefined;
}

/** Undefined where requests cannot be handed over. */
export function durablePlan(method: string, { settings }: RouteConfig): DurablePlan | undefined {
  if (settings.durable === undefined) return undefined;
  const { options, backoff } = settings.durable;
  const { attempts, deadlineMs, retentionMs, concurrency, onUnknown } = options;
  const schedule = scheduleOf({ attempts, backoff }, false);
  const poll = options.poll && pollPlan(options.poll);
  const rules = durableRules(settings.retry, settings.durable);
  // By `on_unknown_outcome: retry` the route takes each request for one that may be repeated, as it does one with a key.
  const retried = retryRules(method, onUnknown === 'retry' ? { ...rules, idempotencyKey: 'inject' } : rules);
  return { attempts, deadlineMs, retentionMs, concurrency, onUnknown, retried, schedule, poll };
}

/** A plan of many attempts is no promise: some failures end a request without a key at once. */
function describeResending({ retried }: DurablePlan): string {
  if (retried.length === 0) return '';
  const held = retried.find(({ sentUnknown }) => !sentUnknown);
  return [
    '  It is sent again after\n',
    describeRules(retried),
    held === undefined ? '' : describeHeld(held),
  ].join('');
}

function describeHeld({ calls }: RetryRule): string {
  const which = calls === 'without_key' ? 'Without a key, another' : 'Another';
  return [
    `  ${which} failure that leaves its outcome open ends it as unknown_outcome, at the first attempt too.\n`,
    '  If this API knows idempotency keys, write retry.idempotency_key: inject.\n',
  ].join('');
}

/** Of many waits, the first and the last are shown. */
const FIRST_SHOWN = 6;

/** For people. */
export function describeDurable(plan: DurablePlan | undefined): string {
  if (plan === undefined) return '';
  const { waits, sum } = plan.schedule;
  const cells = ({ minMs, medianMs, maxMs }: (typeof waits)[number]) =>
    [minMs, medianMs, maxMs].map(formatDuration);
  const rows = waits.map((wait, index) => [`before attempt ${index + 2}`, ...cells(wait)]);
  const shown =
    rows.length <= FIRST_SHOWN + 2
      ? rows
      : [...rows.slice(0, FIRST_SHOWN), ['…', '', '', ''], ...rows.slice(-1)];
  return [
    '\nHanded over with Prefer: respond-async\n',
    `  at most ${plan.attempts} attempts within ${formatDuration(plan.deadlineMs)}, ${plan.concurrency ?? 'as many as the upstream bears'} at once; `,
    `the result is kept for ${formatDuration(plan.retentionMs)}\n`,
    table([['', 'min', 'median', 'max'], ...shown, ['in all', ...cells(sum)]], [1, 2, 3]),
    sum.minMs > plan.deadlineMs ? '  The deadline ends it before the last attempt.\n' : '',
    '  A Retry-After takes the place of a shorter wait; an open breaker, quota, budget and limits put it off without an attempt.\n',
    describeResending(plan),
    describePolling(plan.poll),
  ].join('');
}
