import { section, shorthand } from '../fields/field.ts';
import { durationOrStuck, isOff, percentage, percentageOrOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

export const hedge = shorthand(
  section(
    'Hedging: a second attempt while the first is slow. The first good reply is used. Only for calls that may be repeated.',
    {
      percentile: percentageOrOff(
        'off',
        'The second attempt starts when this share of attempts would have been answered (95% is usual). Needs 100 known attempts.',
      ),
      after: durationOrStuck(
        'The second attempt starts after this fixed time instead. stuck: only for a GET or HEAD that is silent for far longer than usual, ' +
          'while later calls of its path are answered; no effect if timeouts.attempt is set.',
        MS,
      ),
      max_extra: percentage(
        '2%',
        'Second attempts are at most this share of all attempts. Has no effect on after: stuck.',
      ),
    },
    'hedge',
  ),
  {
    type: 'stuck, off or a map of keys',
    json: { enum: ['stuck', 'off', 'none'] },
    expand: (found) => {
      if (found === 'stuck') return { percentile: null, after: 'stuck' as const };
      return isOff(found) ? { percentile: null, after: null } : undefined;
    },
  },
);
