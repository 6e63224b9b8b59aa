import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, flag, integerOrOff, isOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

export const overrides = shorthand(
  section(
    'What a client may change for one call, by request headers. The upstream never gets these headers.',
    {
      attempts: integerOrOff(
        'off',
        'Highest number that breakwater-attempts: 5 may ask for. off: the header is ignored.',
        1,
        100,
      ),
      timeout: durationOrOff(
        'off',
        'Longest total timeout that breakwater-timeout: 90s may ask for. off: the header is ignored.',
        MS,
      ),
      retry_on: flag(false, 'true: breakwater-retry-on: 404,503 (or none) replaces retry.statuses.'),
      idempotent: flag(
        false,
        'true: breakwater-idempotent: true allows any call to be sent again, and breakwater-idempotent: false forbids it.',
      ),
      priority: flag(
        false,
        'true: breakwater-priority: high, normal or low sets the priority in the queues of quota and concurrency. A client with a token cannot ask for more than its own.',
      ),
      wait: flag(
        false,
        'true: Prefer: wait=10 and x-request-timeout-ms: 10000 shorten the total timeout. Both are passed on.',
      ),
    },
    'overrides',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) =>
      isOff(found)
        ? { attempts: null, timeout: null, retry_on: false, idempotent: false, priority: false, wait: false }
        : undefined,
  },
);
