import type { BackoffKind } from '../../policies/retry/growth.ts';
import type { Jitter } from '../../policies/retry/options.ts';
import { section } from '../fields/field.ts';
import { choice, decimal, duration, durations } from '../fields/fields.ts';

/** Each kind of backoff, and how the wait grows. */
const KINDS: Readonly<Record<BackoffKind, string>> = {
  exponential: 'by factor',
  linear: 'by the base',
  constant: 'not at all',
  fibonacci: 'as the Fibonacci numbers',
  list: 'the waits of list',
};

/** Each kind of jitter, and the range of the wait. */
const JITTERS: Readonly<Record<Jitter, string>> = {
  full: 'from 0 to the wait',
  equal: 'its upper half',
  decorrelated: 'a random walk',
  none: 'exactly the wait',
};

const words = <W extends string>(table: Readonly<Record<W, string>>) => Object.keys(table) as W[];

const explained = (table: Readonly<Record<string, string>>): string =>
  Object.entries(table)
    .map(([word, text]) => `${word}: ${text}`)
    .join('; ');

interface Defaults {
  readonly base: string;
  readonly overloadedBase: string;
  readonly max: string;
  readonly jitter: Jitter;
}

/** The keys of a backoff, with the defaults of its section. */
export function backoffKeys({ base, overloadedBase, max, jitter }: Defaults) {
  return section('Waits between attempts.', {
    kind: choice(
      words(KINDS),
      'exponential',
      `How the wait grows from one attempt to the next. ${explained(KINDS)}.`,
    ),
    base: duration(base, 'The first wait, before jitter.'),
    overloaded_base: duration(overloadedBase, 'The first wait after 429, 503 and 529, which mean overload.'),
    factor: decimal(2, 'Factor by which an exponential wait grows.', 1, 100),
    max: duration(max, 'The longest wait, before jitter.'),
    jitter: choice(words(JITTERS), jitter, `Randomness of the wait. ${explained(JITTERS)}.`),
    list: durations([], 'The waits of kind: list. The last one repeats.'),
  });
}
