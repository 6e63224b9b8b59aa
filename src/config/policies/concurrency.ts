import { section, shorthand } from '../field.ts';
import { choice, duration, durationOrOff, integer, isOff } from '../fields.ts';
import { MS } from './timeouts.ts';

const LIMIT_MAX = 100_000;

export const concurrency = shorthand(
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
      queue: integer(1_000, 'Calls that may wait for their turn.', 0, LIMIT_MAX),
      wait: duration(
        '3s',
        'Longest wait for a turn, and never more than a tenth of the time that is left. Without a sign of overload meanwhile, an adaptive limit below max then grows by one and lets the call through.',
      ),
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
