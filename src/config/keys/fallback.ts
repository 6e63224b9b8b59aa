import * as z from 'zod';
import { section, shorthand } from '../fields/field.ts';
import { flag, integerOrOff, isOff, percentage, statuses, text, texts } from '../fields/fields.ts';
import { checkHeaderName, checkHeaderValue } from '../fields/words.ts';

const checkTarget = (path: string): string | undefined => {
  if (!path.startsWith('/')) return `"${path}" does not start with /; write /${path}`;
  if (/[#\s]/.test(path)) return `"${path}" contains # or a space; write a path without them`;
  const rest = path.endsWith('/**') ? path.slice(0, -3) : path;
  return rest.includes('**')
    ? `"${path}": ** is allowed only as the last segment; write for example /other/**`
    : undefined;
};

const headerMap = (doc: string) =>
  z
    .record(z.string(), text(undefined, doc, checkHeaderValue))
    .register(z.globalRegistry, { description: doc })
    .optional();

/** Keys that say what another upstream gets. */
const toUpstream = {
  path: text(
    '/**',
    "Path there, below its mount. /** at the end is the client's path. The query is added.",
    checkTarget,
  ),
  headers: section(
    'Changes to the headers for the other upstream. It never gets the credentials of the first.',
    {
      set: headerMap('A header for the other upstream.'),
      remove: texts('Headers that the other upstream does not get.', checkHeaderName),
    },
  ).optional(),
  unsafe: flag(
    false,
    'true: the other upstream also gets a POST or PATCH that an earlier one may have processed.',
  ),
};

const further = section('A further upstream.', {
  upstream: text(undefined, 'Name of another upstream. Required.'),
  ...toUpstream,
});

export const fallback = shorthand(
  section(
    'What answers when the last attempt has failed or the breaker is open.',
    {
      upstream: text(
        'off',
        'Name of another upstream; its own routes, header rules and allow-list apply. Or off.',
      ),
      ...toUpstream,
      next: z
        .array(further)
        .register(z.globalRegistry, {
          description:
            'Further upstreams, asked in this order while those before have failed too. At most 8.',
        })
        .optional(),
      reserve: percentage('30%', 'Share of timeouts.total that is reserved for the other upstreams.'),
      statuses: statuses(
        ['5xx'],
        'Statuses that count as failure after the last attempt. No reply always counts. 5xx: every 5xx but 501, 505, 506, 510 and 511.',
      ),
      reply: section('A fixed reply: the last resort, or the only one without another upstream.', {
        status: integerOrOff('off', 'Status of the fixed reply. off: no fixed reply.', 200, 599),
        headers: headerMap('A header of the fixed reply. Content-Type is guessed from the body if left out.'),
        body: text('', 'Body of the fixed reply.'),
      }).optional(),
    },
    'fallback',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { upstream: 'off', next: [], reply: { status: null } } : undefined),
  },
);

export type FallbackInput = z.output<typeof fallback>;
