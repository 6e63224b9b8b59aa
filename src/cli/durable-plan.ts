import type { RouteConfig } from '../config/config.ts';
import { formatDuration } from '../config/format.ts';
import { describePolling, type PollPlan, pollPlan } from './poll-plan.ts';
import { type Schedule, scheduleOf } from './retry-plan.ts';
import { table } from './table.ts';

/** What becomes of a request that is handed over and whose attempts all fail. */
export interface DurablePlan {
  readonly attempts: number;
  readonly deadlineMs: number;
  readonly retentionMs: number;
  /** Undefined: adaptive. */
  readonly concurrency: number | undefined;
  readonly onUnknown: 'hold' | 'retry';
  readonly schedule: Pick<Schedule, 'waits' | 'sum'>;
  /** Undefined where every good reply is the final one. */
  readonly poll: PollPlan | undefined;
}

/** Undefined where requests cannot be handed over. */
export function durablePlan({ settings }: RouteConfig): DurablePlan | undefined {
  if (settings.durable === undefined) return undefined;
  const { options, backoff } = settings.durable;
  const { attempts, deadlineMs, retentionMs, concurrency, onUnknown } = options;
  const schedule = scheduleOf({ attempts, backoff }, false);
  const poll = options.poll && pollPlan(options.poll);
  return { attempts, deadlineMs, retentionMs, concurrency, onUnknown, schedule, poll };
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
    describePolling(plan.poll),
  ].join('');
}
