import { section, shorthand } from '../fields/field.ts';
import { durationOrOff, isOff, size } from '../fields/fields.ts';
import { parseDuration } from '../fields/units.ts';
import { MS } from './timeouts.ts';

export const dedupe = shorthand(
  section(
    'Equal requests under one idempotency key are sent once.',
    {
      window: durationOrOff(
        'off',
        'For how long a repeat (same key, method, target, body and credentials) gets the reply of the first again. Needs retry.idempotency_key: pass, inject or require, and that the client sends keys.',
        MS,
      ),
      max_reply: size('1MiB', 'A larger reply is not kept.', 2 ** 30),
      memory: size('64MiB', 'All kept replies together; those longest unused give way.', 2 ** 40),
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
