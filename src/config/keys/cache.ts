import { section, shorthand } from '../fields/field.ts';
import { duration, durationOrOff, flag, isOff, size, texts } from '../fields/fields.ts';
import { parseDuration } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';

export const cache = shorthand(
  section(
    'Replies to GET are given again while they are fresh (RFC 9111), to the caller that got them.',
    {
      ttl: durationOrOff(
        'off',
        'How long a reply is fresh that does not say so itself; 0s: only what replies say of themselves counts; off: nothing is kept. HTTP counts freshness in seconds: parts of one are rounded up.',
      ),
      override: flag(false, 'Whether ttl holds whatever a reply says, no-store included.'),
      stale_while_revalidate: duration(
        '0s',
        'For how long a reply that is no longer fresh is still given while another is fetched.',
      ),
      stale_if_error: duration(
        '0s',
        'For how long a reply that is no longer fresh stands in for an error, an open breaker or a used-up quota.',
      ),
      vary: texts(
        'More request headers by which the API chooses a reply. Content negotiation, version and language headers count by themselves, and so does what Vary names.',
        checkHeaderName,
        [],
      ),
      max_reply: size('1MiB', 'A larger reply is not kept.', 2 ** 30),
      memory: size('64MiB', 'All kept replies together; those longest unused give way.', 2 ** 40),
    },
    'cache',
  ),
  {
    type: 'off, on, a duration or a map of keys',
    json: {
      anyOf: [
        { enum: ['off', 'none', 'on'] },
        { type: 'boolean' },
        { type: 'string', pattern: '^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)$|\\$\\{' },
      ],
    },
    expand: expandTtl,
  },
);

function expandTtl(found: unknown): { ttl: number | null } | undefined {
  if (isOff(found) || found === false) return { ttl: null };
  if (found === 'on' || found === true) return { ttl: 0 };
  const parsed = parseDuration(found);
  return 'value' in parsed ? { ttl: parsed.value } : undefined;
}
