import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, isOff, size } from '../fields/fields.ts';
import { parseDuration } from '../fields/units.ts';
import { MS } from './timeouts.ts';

export const dedupe = shorthand(
  section(
    'Idempotent replay: equal requests with one idempotency key are sent once.',
    {
      window: durationOrOff(
        'off',
        'How long a repeated request (same key, method, target, body and credentials) gets the first reply again. Needs retry.idempotency_key: pass, inject or require, and clients that send keys. off: no replay.',
        MS,
      ),
      max_reply: size('1MiB', 'A larger reply is not stored.', 2 ** 30),
      memory: size(
        '64MiB',
        'Memory for all stored replies. The least recently used ones are evicted.',
        2 ** 40,
      ),
    },
    'dedupe',
  ),
  {
    type: 'off, a duration or a map of keys',
    json: {
      anyOf: [
        { enum: ['off', 'none'] },
        { type: 'string', pattern: '^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)$|\\$\\{' },
      ],
    },
    expand: expandWindow,
  },
);

function expandWindow(found: unknown): { window: number | null } | undefined {
  if (isOff(found)) return { window: null };
  const parsed = parseDuration(found);
  return 'value' in parsed && parsed.value > 0 ? { window: parsed.value } : undefined;
}
