import { section, shorthand } from './field.ts';
import {
  choice,
  decimal,
  duration,
  durationOrOff,
  durations,
  integer,
  isOff,
  percentage,
  rate,
  size,
  statuses,
  text,
} from './fields.ts';
import { checkHeaderName } from './words.ts';

/** The keys of every policy, as they stand in `defaults`, in an upstream and in a route. */

/** A time in which nothing can happen is a mistake. */
export const MS = { min: 1 };

export const routeTimeouts = {
  attempt: duration('10s', 'Time from the start of an attempt to the head of its reply.', MS),
  idle: duration('60s', 'Longest gap in a body that streams; there is no limit on its whole length.', MS),
  total: duration(
    '30s',
    'Time from the arrival of a call to the head of its reply, all attempts and waits included.',
    MS,
  ),
};

const backoff = section('Waits between attempts.', {
  kind: choice(
    ['exponential', 'linear', 'constant', 'fibonacci', 'list'],
    'exponential',
    'How the wait grows from one retry to the next.',
  ),
  base: duration('100ms', 'The first wait, before jitter.'),
  overloaded_base: duration(
    '1s',
    'The first wait after 429, 503 and 529, by which an API says that it has too much to do.',
  ),
  factor: decimal(2, 'By how much an exponential wait grows each time.', 1, 100),
  max: duration('10s', 'The longest wait, before jitter.'),
  jitter: choice(
    ['full', 'equal', 'decorrelated', 'none'],
    'full',
    'Randomness: anything up to the wait, its upper half, a random walk, or none.',
  ),
  list: durations([], 'The waits of kind list; the last one repeats.'),
});

const retry = shorthand(
  section(
    'When and how a failed attempt is followed by another.',
    {
      attempts: integer(
        3,
        'Attempts in all, the first included; 1 (or retry: off) means never retry.',
        1,
        100,
      ),
      statuses: statuses(
        [408, 425, 429, 500, 502, 503, 504, 529],
        'Answered statuses worth another attempt, where the method may be repeated (500 only for GET and HEAD).',
      ),
      not_processed: statuses(
        [],
        'Statuses by which this API says that it has done nothing, so that even a POST without a key may be sent again.',
      ),
      idempotency_key: choice(
        ['none', 'pass', 'inject', 'require'],
        'none',
        'What an idempotency key means to this API. pass: POST and PATCH with one may be repeated; inject: one is made where the client sent none; require: a POST or PATCH without one is refused.',
      ),
      idempotency_header: text('idempotency-key', 'The header that carries it.', checkHeaderName),
      backoff: backoff.optional(),
      retry_after: section('Waits that the upstream asks for.', {
        max: duration('30s', 'A Retry-After beyond this is not waited for: the reply goes to the client.'),
      }).optional(),
      budget: section('Retries of an upstream are paid for by its successes.', {
        cap: decimal(10, 'Most tokens that are kept; a retry costs one.', 0, 1_000_000),
        ratio: decimal(0.5, 'Tokens earned by a successful attempt.', 0, 10),
        trickle: rate('0.1/s', 'Tokens earned by time alone, while the breaker is closed.'),
      }).optional(),
    },
    'retry',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { attempts: 1 } : undefined),
  },
);

const slow = shorthand(
  section('Slow replies as a sign of failure.', {
    duration: durationOrOff(
      'off',
      'An attempt whose head took longer than this is slow; off: no attempt is.',
      MS,
    ),
    rate: percentage('80%', 'Share of slow attempts in the window that opens the breaker.'),
  }),
  {
    type: 'off or { duration: 5s, rate: 80% }',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { duration: null } : undefined),
  },
);

const breaker = shorthand(
  section(
    'Stops calls to an upstream that fails, and finds out when it is back.',
    {
      mode: choice(
        ['enforce', 'shadow', 'off'],
        'enforce',
        'shadow only reports what it would have refused.',
      ),
      window: duration('10s', 'Attempts of this long are looked at.', { min: 100 }),
      min_requests: integer(20, 'Fewer attempts than this in the window prove nothing.', 1, 1_000_000),
      failure_rate: percentage('80%', 'Share of failures in the window that opens it.'),
      slow: slow.optional(),
      connect_failures: integer(5, 'Failures in a row to connect that open it.', 1, 1_000_000),
      consecutive_failures: integer(
        10,
        'Failures in a row that open it, once they span a second.',
        1,
        1_000_000,
      ),
      probes: integer(3, 'Successful probes in a row that close it.', 1, 1_000),
      wait: section('How long it stays open before a probe.', {
        ratio: decimal(0.05, "The wait as a share of the outage's age.", 0, 10),
        min: duration('500ms', 'The shortest wait.', MS),
        max: duration('15s', 'The longest wait.', MS),
      }).optional(),
    },
    'breaker',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { mode: 'off' as const } : undefined),
  },
);

const LIMIT_MAX = 100_000;

const concurrency = shorthand(
  section(
    'How many attempts run at once; the rest waits its turn.',
    {
      mode: choice(
        ['adaptive', 'fixed', 'off'],
        'adaptive',
        'adaptive follows signs of overload; fixed stays at initial.',
      ),
      initial: integer(20, 'The limit at the start.', 1, LIMIT_MAX),
      min: integer(1, 'It never falls below this.', 1, LIMIT_MAX),
      max: integer(200, 'It never grows above this.', 1, LIMIT_MAX),
      queue: integer(100, 'Calls that may wait for their turn.', 0, LIMIT_MAX),
      wait: duration('3s', 'Longest wait for a turn, and never more than a tenth of the time that is left.'),
      latency_ceiling: durationOrOff(
        'off',
        'A reply that takes longer to its head counts as overload; off: only timeouts do.',
        MS,
      ),
    },
    'concurrency',
  ),
  {
    type: 'adaptive, off, a number or a map of keys',
    json: {
      anyOf: [{ enum: ['adaptive', 'off', 'none'] }, { type: 'integer', minimum: 1, maximum: LIMIT_MAX }],
    },
    expand: expandConcurrency,
  },
);

type ConcurrencyWord = { mode: 'adaptive' | 'off' } | { mode: 'fixed'; initial: number };

function expandConcurrency(found: unknown): ConcurrencyWord | undefined {
  if (isOff(found)) return { mode: 'off' };
  if (found === 'adaptive') return { mode: 'adaptive' };
  const number = typeof found === 'string' && /^\d+$/.test(found) ? Number(found) : found;
  const fits = typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= LIMIT_MAX;
  return fits ? { mode: 'fixed', initial: number } : undefined;
}

export const policies = {
  retry: retry.optional(),
  breaker: breaker.optional(),
  concurrency: concurrency.optional(),
  request: section('The request body.', {
    max_replay: size(
      '1MiB',
      'A body up to this size is kept while it streams, so that it can be sent again.',
      2 ** 30,
    ),
  }).optional(),
};
