import type { RouteConfig, UpstreamConfig } from '../config/config.ts';
import { formatDuration } from '../config/fields/format.ts';
import { durableRules } from '../policies/retry/durable-rules.ts';
import { describePolling, type PollPlan, pollPlan } from './poll-plan.ts';
import { type RetryRule, retryRules, type Schedule, scheduleOf } from './retry-plan.ts';
import { describeRules } from './retry-rules-text.ts';
import { table } from './table.ts';

/** The plan of a durable request whose attempts all fail. */
export interface DurablePlan {
  readonly attempts: number;
  readonly deadlineMs: number;
  readonly retentionMs: number;
  /** Undefined: adaptive. */
  readonly concurrency: number | undefined;
  readonly onUnknown: 'hold' | 'retry';
  /** The failures after which the request is sent again; empty with one attempt. */
  readonly retried: readonly RetryRule[];
  readonly schedule: Pick<Schedule, 'waits' | 'sum'>;
  /** Undefined: every successful reply is final. */
  readonly poll: PollPlan | undefined;
}

/** Undefined if the route does not accept durable requests. */
export function durablePlan(
  method: string,
  { settings }: RouteConfig,
  { targets = [] }: Pick<UpstreamConfig, 'targets'>,
): DurablePlan | undefined {
  if (settings.durable === undefined) return undefined;
  const { options, backoff } = settings.durable;
  const { attempts, deadlineMs, retentionMs, concurrency, onUnknown } = options;
  const schedule = scheduleOf({ attempts, backoff }, false);
  const poll = options.poll && pollPlan(options.poll, targets.length > 1);
  const rules = durableRules(settings.retry, settings.durable);
  // With `on_unknown_outcome: retry`, every request may be repeated, like one with an idempotency key.
  const retried = retryRules(method, onUnknown === 'retry' ? { ...rules, idempotencyKey: 'inject' } : rules);
  return { attempts, deadlineMs, retentionMs, concurrency, onUnknown, retried, schedule, poll };
}

/** Some failures end a request without a key at once, however many attempts are planned. */
function describeResending({ retried }: DurablePlan): string {
  if (retried.length === 0) return '';
  const held = retried.find(({ sentUnknown }) => !sentUnknown);
  return [
    '  The request is sent again after:\n',
    describeRules(retried),
    held === undefined ? '' : describeHeld(held),
  ].join('');
}

function describeHeld({ calls }: RetryRule): string {
  const which = calls === 'without_key' ? 'Without a key, another' : 'Another';
  return [
    `  ${which} failure that leaves the outcome open ends the request as unknown_outcome, even at the first attempt.\n`,
    '  If this API supports idempotency keys, write retry.idempotency_key: inject.\n',
  ].join('');
}

/** Of many waits, only so many and the last one are shown. */
const FIRST_SHOWN = 6;

/** The plan as text. */
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
    '\nDurable request (Prefer: respond-async)\n',
    `  at most ${plan.attempts} attempts within ${formatDuration(plan.deadlineMs)}, ${plan.concurrency ?? 'an adaptive number'} at once; `,
    `the result is stored for ${formatDuration(plan.retentionMs)}\n`,
    table([['', 'min', 'median', 'max'], ...shown, ['in all', ...cells(sum)]], [1, 2, 3]),
    sum.minMs > plan.deadlineMs ? '  The deadline ends the request before the last attempt.\n' : '',
    '  A longer Retry-After replaces a wait. An open breaker, the quota, the budget and limits delay it without using an attempt.\n',
    describeResending(plan),
    describePolling(plan.poll),
  ].join('');
}
