import { section, shorthand } from '../fields/field.ts';
import { duration, durationOrOff, flag, isOff, size, texts } from '../fields/fields.ts';
import { parseDuration } from '../fields/units.ts';
import { checkHeaderName } from '../fields/words.ts';

export const cache = shorthand(
  section(
    'Response cache (RFC 9111): fresh replies to GET are served again to the caller that got them.',
    {
      ttl: durationOrOff(
        'off',
        'How long a reply is fresh if it does not state a lifetime. 0s: only replies that state one are cached. off: no cache. Rounded up to whole seconds, because HTTP counts freshness in seconds.',
      ),
      override: flag(false, 'true: ttl replaces the lifetime that a reply states, and even no-store.'),
      stale_while_revalidate: duration(
        '0s',
        'How long a stale reply is still served while a new one is fetched.',
      ),
      stale_if_error: duration(
        '0s',
        'How long a stale reply is served in place of an error, an open breaker or an exhausted quota.',
      ),
      vary: texts(
        'More request headers on which the reply depends. Headers for content negotiation, version and language always count, and so do those that Vary names.',
        checkHeaderName,
        [],
      ),
      max_reply: size('1MiB', 'A larger reply is not cached.', 2 ** 30),
      memory: size(
        '64MiB',
        'Memory for all cached replies. The least recently used ones are evicted.',
        2 ** 40,
      ),
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
  if (isOff(found)) return { ttl: null };
  if (found === 'on' || found === true) return { ttl: 0 };
  const parsed = parseDuration(found);
  return 'value' in parsed ? { ttl: parsed.value } : undefined;
}
