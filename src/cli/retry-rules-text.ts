import type { RetryRule } from './retry-plan.ts';
import { table } from './table.ts';

const CALLS: Readonly<Record<RetryRule['calls'], string>> = {
  all: '',
  with_key: 'with a key',
  without_key: 'without a key',
};

/** The failures after which a request is sent again, as a table. */
export function describeRules(rules: readonly RetryRule[]): string {
  const rows = [
    ['', ...rules.map(({ calls }) => CALLS[calls])],
    ['not sent (DNS, connect, TLS)', ...rules.map(({ notSent }) => yes(notSent))],
    ['sent, no answer (reset, timeout)', ...rules.map(({ sentUnknown }) => yes(sentUnknown))],
    ['answered', ...rules.map(({ statuses }) => ranges(statuses) || 'no status')],
    ...grpcRow(rules),
  ];
  return table(rules.length > 1 ? rows : rows.slice(1));
}

/** Three or more numbers in a row are written as a range. */
function ranges(numbers: readonly number[]): string {
  const runs: number[][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.at(-1) === number - 1) last.push(number);
    else runs.push([number]);
  }
  return runs.map((run) => (run.length < 3 ? run.join(' ') : `${run[0]}-${run.at(-1)}`)).join(' ');
}

/** Shown only if it is configured: most APIs are not gRPC. */
function grpcRow(rules: readonly RetryRule[]): string[][] {
  if (rules.every(({ grpc }) => grpc.length === 0)) return [];
  return [['answered with a gRPC error only', ...rules.map(({ grpc }) => grpc.join(' '))]];
}

const yes = (is: boolean): string => (is ? 'yes' : 'no');
