import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, isOff, percentage, percentageOrOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

export const hedge = shorthand(
  section(
    'A second attempt beside one that is slower than most; the first good answer counts. For calls that may be repeated.',
    {
      percentile: percentageOrOff(
        'off',
        'Started after the time in which this share of attempts is answered, once 100 are known (95% is usual).',
      ),
      after: durationOrOff('off', 'Or started after a fixed time.', MS),
      max_extra: percentage('2%', 'Hedges are at most this share of the attempts.'),
    },
    'hedge',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { percentile: null, after: null } : undefined),
  },
);
