import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, flag, integerOrOff, isOff } from '../fields/fields.ts';
import { MS } from './timeouts.ts';

export const overrides = shorthand(
  section(
    'What a client may ask for one call, by request headers. They are not passed on, allowed or not.',
    {
      attempts: integerOrOff('off', 'The most attempts that breakwater-attempts: 5 may ask for.', 1, 100),
      timeout: durationOrOff(
        'off',
        'The longest total timeout that breakwater-timeout: 90s may ask for.',
        MS,
      ),
      retry_on: flag(
        false,
        'Whether breakwater-retry-on: 404,503 (or none) takes the place of retry.statuses.',
      ),
      idempotent: flag(
        false,
        'Whether breakwater-idempotent: true makes any call one that may be sent again, and false none.',
      ),
      wait: flag(
        false,
        'Whether Prefer: wait=10 and x-request-timeout-ms: 10000 shorten the total timeout. Both are passed on.',
      ),
    },
    'overrides',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) =>
      isOff(found)
        ? { attempts: null, timeout: null, retry_on: false, idempotent: false, wait: false }
        : undefined,
  },
);
