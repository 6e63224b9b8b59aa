import { section, shorthand } from '../fields/field.ts';
import { choice, duration, integer, integerOrAdaptive, isOff, size } from '../fields/fields.ts';
import { backoffKeys } from './backoff.ts';
import { poll, until } from './until.ts';

const backoff = backoffKeys({ base: '1s', overloadedBase: '5s', max: '10m', jitter: 'equal' });

/** Long waits are of the store's making: they need no timer. */
const MAX_KEPT_MS = 366 * 86_400_000;

export const durable = shorthand(
  section(
    'Requests with `Prefer: respond-async` are accepted now and seen through, whatever happens.',
    {
      mode: choice(
        ['on', 'off'],
        'off',
        'Whether requests can be handed over; on as soon as another key of durable is written here.',
      ),
      attempts: integer(50, 'Attempts in all; what is refused by ourselves does not count.', 1, 10_000),
      deadline: duration('24h', 'No attempt begins later than this after the request was accepted.', {
        max: MAX_KEPT_MS,
      }),
      backoff: backoff.optional(),
      retention: duration('24h', 'The result is kept for so long after the end.', { max: MAX_KEPT_MS }),
      max_body: size('1MiB', 'A larger request body is refused with 413.', 2 ** 28),
      max_result: size('8MiB', 'Of a longer reply, this much is kept, and marked as truncated.', 2 ** 28),
      concurrency: integerOrAdaptive(
        'Attempts of this route under way at once. adaptive: more with each good answer, as far as the limit of all calls of the upstream (`concurrency`) has room.',
        1,
        1_000,
      ),
      on_unknown_outcome: choice(
        ['hold', 'retry'],
        'hold',
        'A POST or PATCH without a key of which nobody knows whether it arrived. hold: it ends as unknown_outcome, for a person to decide; retry: it is sent again.',
      ),
      until: until.optional(),
      poll: poll.optional(),
    },
    'durable',
  ),
  {
    type: 'true, off or a map of keys',
    json: { enum: [true, false, 'on', 'off', 'none'] },
    expand: (found) => {
      if (found === true || found === 'true' || found === 'on') return { mode: 'on' as const };
      return isOff(found) || found === 'false' ? { mode: 'off' as const } : undefined;
    },
  },
);
