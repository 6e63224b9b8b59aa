import type { DurableSettings } from '../config/config.ts';
import { formatDuration } from '../config/fields/format.ts';

type PollOptions = NonNullable<DurableSettings['options']['poll']>;
type PollTarget = NonNullable<PollOptions['target']>;
type Condition = PollOptions['conditions']['success'][number];
type Test = NonNullable<Condition['subject']>['test'];
type Scalar = NonNullable<Test['in']>[number];

/** How a request is polled, in words. */
export interface PollPlan {
  /** The target that is polled after the first successful answer. */
  readonly target: string;
  readonly success: readonly string[];
  readonly failure: readonly string[];
  readonly minMs: number;
  readonly maxMs: number;
}

/** `pinned`: the upstream has several targets. */
export function pollPlan({ conditions, delay, target }: PollOptions, pinned: boolean): PollPlan {
  const polled = target === undefined ? 'the request itself' : `GET ${targetText(target)}`;
  return {
    target: pinned ? `${polled}, at the target that has accepted the request,` : polled,
    success: conditions.success.map(conditionText),
    failure: conditions.failure.map(conditionText),
    ...delay,
  };
}

/** The plan as text. */
export function describePolling(plan: PollPlan | undefined): string {
  if (plan === undefined) return '';
  const { target, success, failure, minMs, maxMs } = plan;
  const lines = [
    `A successful answer is not final: ${target} is polled every ${formatDuration(minMs)} to ${formatDuration(maxMs)}, with growing waits,`,
    `until ${success.join(', or ')}`,
    ...(failure.length === 0 ? [] : [`failed if ${failure.join(', or ')}`]),
    'Polls use no attempts. The last poll is exactly at the deadline. A Retry-After replaces the wait, up to the longest wait.',
  ];
  return lines.map((line) => `  ${line}\n`).join('');
}

function targetText(target: PollTarget): string {
  if (target.from === 'header') return `the URL in ${target.name}`;
  return target.parts
    .map((part) => (typeof part === 'string' ? part : `{json:${pointerText(part)}}`))
    .join('');
}

function conditionText({ statuses, subject }: Condition): string {
  const status = statuses === undefined ? [] : [`the status is ${[...statuses].join(' or ')}`];
  if (subject === undefined) return status.join('');
  const what = subject.kind === 'header' ? `header ${subject.name}` : pointerText(subject.pointer);
  const all = subject.kind === 'json' && subject.items === 'all' ? ' (all of them)' : '';
  return [...status, ...testTexts(subject.test).map((text) => `${what}${all} ${text}`)].join(' and ');
}

function testTexts({ equals, in: list, matches, exists, gte, lte }: Test): string[] {
  const texts: [unknown, () => string][] = [
    [equals, () => `is ${valueText(equals as Scalar)}`],
    [list, () => `is one of ${(list ?? []).map(valueText).join(', ')}`],
    [matches, () => `matches /${matches?.source}/`],
    [exists, () => (exists === true ? 'exists' : 'does not exist')],
    [gte, () => `is at least ${gte}`],
    [lte, () => `is at most ${lte}`],
  ];
  return texts.filter(([asked]) => asked !== undefined).map(([, text]) => text());
}

const valueText = (value: Scalar): string => String(value);

const pointerText = (pointer: readonly string[]): string =>
  pointer.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
