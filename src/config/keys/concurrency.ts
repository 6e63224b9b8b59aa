import { section, shorthand } from '../fields/field.ts';
import { choice, duration, durationOrOff, integer, integerOrOff, isOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

const LIMIT_MAX = 100_000;

export const concurrency = shorthand(
  section(
    'Limits how many attempts run at once. More calls wait in a queue. A slow upload (under 16 KiB a second) counts again only when it ends. Without max there is no limit until the upstream shows signs of overload. A route that writes it has its own limit.',
    {
      mode: choice(
        ['adaptive', 'fixed', 'shadow', 'off'],
        'adaptive',
        'adaptive: the limit falls with signs of overload, grows with successes, and is lifted after a minute without such signs. fixed: the limit is always max. shadow: as adaptive, but attempts beyond the limit are only reported. off: no limit.',
      ),
      min: integer(1, 'The adaptive limit does not fall below this.', 1, LIMIT_MAX),
      max: integerOrOff(
        'off',
        'The highest limit, from the start. off: no limit until there are signs of overload.',
        1,
        LIMIT_MAX,
      ),
      queue: integer(
        1_000,
        'How many calls may wait. Slow uploads that need their permit again do not count.',
        0,
        LIMIT_MAX,
      ),
      wait: duration(
        '3s',
        'Longest wait, but at most a tenth of the time that the call has left. If there was no sign of overload, an adaptive limit below max then grows by one and the call is sent.',
      ),
      latency_ceiling: durationOrOff(
        'off',
        'A response head that takes longer counts as overload. off: only a missing reply does.',
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
