import { section, shorthand } from '../fields/field.ts';
import { choice, duration, durationOrOff, integer, integerOrOff, isOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

const LIMIT_MAX = 100_000;

export const concurrency = shorthand(
  section(
    'How many attempts run at once; the rest waits. Without a written number there is no limit until the upstream shows signs of overload.',
    {
      mode: choice(
        ['adaptive', 'fixed', 'off'],
        'adaptive',
        'adaptive falls with signs of overload, grows with successes, and is lifted after a minute without such signs; fixed stays at max.',
      ),
      min: integer(1, 'It never falls below this.', 1, LIMIT_MAX),
      max: integerOrOff(
        'off',
        'The limit from the start; off: none without signs of overload.',
        1,
        LIMIT_MAX,
      ),
      queue: integer(1_000, 'Calls that may wait for their turn.', 0, LIMIT_MAX),
      wait: duration(
        '3s',
        'Longest wait for a turn, and never more than a tenth of the time that is left. Without a sign of overload meanwhile, an adaptive limit below max then grows by one and lets the call through.',
      ),
      latency_ceiling: durationOrOff(
        'off',
        'A reply that takes longer to its head counts as overload; off: only silence does.',
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

type ConcurrencyWord = { mode: 'adaptive' | 'off' } | { mode: 'fixed'; max: number };

function expandConcurrency(found: unknown): ConcurrencyWord | undefined {
  if (isOff(found)) return { mode: 'off' };
  if (found === 'adaptive') return { mode: 'adaptive' };
  const number = typeof found === 'string' && /^\d+$/.test(found) ? Number(found) : found;
  const fits = typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= LIMIT_MAX;
  return fits ? { mode: 'fixed', max: number } : undefined;
}
