import { section, shorthand } from '../fields/field.ts';
import { choice, decimal, duration, durationOrOff, integer, isOff, percentage } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

const slow = shorthand(
  section('Opens the breaker when too many replies are slow.', {
    duration: durationOrOff(
      'off',
      'An attempt is slow if its response head takes longer than this. off: slow replies do not open the breaker.',
      MS,
    ),
    rate: percentage('80%', 'Share of slow attempts in the window at which the breaker opens.'),
  }),
  {
    type: 'off or { duration: 5s, rate: 80% }',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { duration: null } : undefined),
  },
);

export const breaker = shorthand(
  section(
    'Circuit breaker: stops calls to an upstream that fails, and probes until it is back. A route that writes it has its own breaker.',
    {
      mode: choice(
        ['enforce', 'shadow', 'off'],
        'enforce',
        'enforce: calls are refused while the breaker is open. shadow: refusals are only reported. off: no breaker.',
      ),
      window: duration('10s', 'Time over which attempts are counted.', { min: 100 }),
      min_requests: integer(
        20,
        'With fewer attempts in the window, no rate opens the breaker.',
        1,
        1_000_000,
      ),
      failure_rate: percentage('80%', 'Share of failed attempts in the window at which the breaker opens.'),
      slow: slow.optional(),
      connect_failures: integer(10, 'Consecutive failures to connect that open the breaker.', 1, 1_000_000),
      consecutive_failures: integer(
        10,
        'Consecutive failures that open the breaker, if they span at least one second.',
        1,
        1_000_000,
      ),
      probes: integer(1, 'Consecutive successful probes that close the breaker.', 1, 1_000),
      wait: section('How long the breaker stays open before the next probe.', {
        ratio: decimal(0.05, 'The wait as a share of the time since the outage began.', 0, 10),
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
