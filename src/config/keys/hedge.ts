import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, isOff, percentage, percentageOrOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

export const hedge = shorthand(
  section(
    'Hedging: a second attempt while the first is slow. The first good reply is used. Only for calls that may be repeated.',
    {
      percentile: percentageOrOff(
        'off',
        'The second attempt starts when this share of attempts would have been answered (95% is usual). Needs 100 known attempts.',
      ),
      after: durationOrOff('off', 'The second attempt starts after this fixed time instead.', MS),
      max_extra: percentage('2%', 'Second attempts are at most this share of all attempts.'),
    },
    'hedge',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { percentile: null, after: null } : undefined),
  },
);
