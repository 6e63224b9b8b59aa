import { formatDuration, formatSize } from '../config/fields/format.ts';
import type { EventCondition, StreamErrorRule, StreamOptions } from '../policies/stream/options.ts';
import { classify } from '../policies/retry/classify.ts';
import type { RetryOptions } from '../policies/retry/options.ts';
import { table } from './table.ts';

/** When an attempt with an event stream has succeeded, and when it has failed. */
export interface StreamPlan {
  readonly firstEventMs: number | undefined;
  readonly eventGapMs: number | undefined;
  readonly ignored: readonly string[];
  readonly errors: readonly {
    readonly event: string;
    readonly status: number;
    /** Whether a call without an idempotency key is sent again after it. */
    readonly retried: boolean;
  }[];
  /** False: every clean end is complete. */
  readonly knowsItsEnd: boolean;
  readonly holdBytes: number;
}

/** Undefined if streams are passed on as they come. */
export function streamPlan(
  method: string,
  { stream, retry }: { readonly stream: StreamOptions | undefined; readonly retry: RetryOptions },
): StreamPlan | undefined {
  if (stream === undefined) return undefined;
  const { firstEventMs, eventGapMs, ignore, errors, done, holdBytes } = stream;
  const planned = errors.map((rule) => ({
    event: rule.name ?? conditionsOf(rule),
    status: rule.status,
    retried: isRetried(method, rule, retry),
  }));
  return {
    firstEventMs,
    eventGapMs,
    ignored: ignore.map(conditionsOf),
    errors: planned,
    knowsItsEnd: done.length > 0,
    holdBytes,
  };
}

/** Asked of the policy itself, so that it is always true. */
function isRetried(
  method: string,
  { status, means, throttled }: StreamErrorRule,
  retry: RetryOptions,
): boolean {
  if (retry.attempts === 1) return false;
  const classification = { name: undefined, kind: means, throttled, retryAfterMs: undefined };
  const reply = { status, headers: [], classification };
  const call = { method, safe: retry.safe, idempotencyKey: undefined };
  return classify({ kind: 'reply', reply }, call, retry, 1).retry === 'yes';
}

/** The names, data, pointers and texts of a condition. */
function conditionsOf({ events, data, body, text }: EventCondition): string {
  return [...events, ...data, ...body.map(([pointer]) => `/${pointer.join('/')}`), ...text].join(' ');
}

/** The plan as text. */
export function describeStream(plan: StreamPlan | undefined): string {
  if (plan === undefined) return '';
  const { firstEventMs, eventGapMs, ignored, errors, knowsItsEnd, holdBytes } = plan;
  const named = ignored.length === 0 ? '' : ` (${ignored.join(', ')})`;
  return [
    '\nWhen the reply is an event stream\n',
    `  The attempt succeeds with the first meaningful event: no comment, not without data, and not in stream.ignore${named}.\n`,
    firstEventMs === undefined
      ? ''
      : `  Without one ${formatDuration(firstEventMs)} after the head it fails.\n`,
    errors.length === 0 ? '' : '  With one of these errors as the first event it fails too:\n',
    table(
      errors.map(({ event, status, retried }) => [
        event,
        `as ${status}`,
        retried ? 'sent again' : 'passed on',
      ]),
    ),
    `  Until then up to ${formatSize(holdBytes)} are held back.\n`,
    eventGapMs === undefined
      ? ''
      : `  Later, ${formatDuration(eventGapMs)} without a meaningful event break the stream.\n`,
    knowsItsEnd
      ? '  A stream that ends without one of the events in stream.done is counted as incomplete.\n'
      : '',
  ].join('');
}
