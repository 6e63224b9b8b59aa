import { section, shorthand } from '../fields/field.ts';
import { choice, duration, integer, integerOrAdaptive, isOff, size } from '../fields/fields.ts';
import { backoffKeys } from './backoff.ts';
import { poll, until } from './until.ts';

const backoff = backoffKeys({ base: '1s', overloadedBase: '5s', max: '10m', jitter: 'equal' });

/** More than a timer can take: these times are checked against the store. */
const MAX_STORED_MS = 366 * 86_400_000;

export const durable = shorthand(
  section(
    'Durable requests: a request with `Prefer: respond-async` is stored, answered with 202, and sent until it succeeds or its deadline passes.',
    {
      mode: choice(
        ['on', 'off'],
        'off',
        'Whether durable requests are accepted. Writing another key of durable here turns it on.',
      ),
      attempts: integer(
        50,
        'Attempts in all. An attempt that the proxy itself refuses does not count.',
        1,
        10_000,
      ),
      deadline: duration('24h', 'No attempt starts later than this after the request was accepted.', {
        max: MAX_STORED_MS,
      }),
      backoff: backoff.optional(),
      retention: duration('24h', 'How long the result is stored after the end.', { max: MAX_STORED_MS }),
      max_body: size('1MiB', 'A larger request body gets 413.', 2 ** 28),
      max_result: size('8MiB', 'Of a larger reply, this much is stored, and marked as truncated.', 2 ** 28),
      concurrency: integerOrAdaptive(
        'Attempts of this route that run at once. adaptive: more with each success, within the limit of all calls of the upstream (`concurrency`).',
        1,
        1_000,
      ),
      on_unknown_outcome: choice(
        ['hold', 'retry'],
        'hold',
        'What to do when it is unknown whether a POST or PATCH without a key was processed. hold: it ends as unknown_outcome, for a person to decide. retry: it is sent again, and may be processed twice.',
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
