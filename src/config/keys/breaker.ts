import { section, shorthand } from '../fields/field.ts';
import { choice, decimal, duration, durationOrOff, integer, isOff, percentage } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

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

export const breaker = shorthand(
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
