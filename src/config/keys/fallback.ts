import * as z from 'zod';
import { section, shorthand } from '../fields/field.ts';
import { flag, integerOrOff, isOff, percentage, statuses, text, texts } from '../fields/fields.ts';
import { checkHeaderName, checkHeaderValue } from '../fields/words.ts';

const checkTarget = (path: string): string | undefined => {
  if (!path.startsWith('/')) return `"${path}" does not start with /; write /${path}`;
  if (/[#\s]/.test(path)) return `"${path}" holds # or a space`;
  const rest = path.endsWith('/**') ? path.slice(0, -3) : path;
  return rest.includes('**') ? `"${path}": ** stands at the end, for the client's path` : undefined;
};

const headerMap = (doc: string) =>
  z
    .record(z.string(), text(undefined, doc, checkHeaderValue))
    .register(z.globalRegistry, { description: doc })
    .optional();

export const fallback = shorthand(
  section(
    'What answers when a call has finally failed, or its breaker is open.',
    {
      upstream: text('off', 'Another upstream, with its own routes, header rules and allow-list; or off.'),
      path: text(
        '/**',
        "Path there, below its mount: /** at the end stands for the client's path. The query goes along.",
        checkTarget,
      ),
      headers: section(
        'Changes to what the other upstream is sent. Credentials meant for the first never are.',
        {
          set: headerMap('A header for the other upstream.'),
          remove: texts('Headers that it does not get.', checkHeaderName),
        },
      ).optional(),
      unsafe: flag(
        false,
        'Whether the other upstream also gets a POST or PATCH that the first one may have processed.',
      ),
      reserve: percentage('30%', 'Share of the total timeout that is kept for the other upstream.'),
      statuses: statuses(
        ['5xx'],
        'Statuses that are a failure after the last attempt; no reply always is. 5xx: every 5xx but 501, 505, 506, 510 and 511.',
      ),
      reply: section('A reply that stands here, in place of another upstream.', {
        status: integerOrOff('off', 'Its status; off: there is no such reply.', 200, 599),
        headers: headerMap('A header of it. Content-Type is made when left out.'),
        body: text('', 'Its body.'),
      }).optional(),
    },
    'fallback',
  ),
  {
    type: 'off or a map of keys',
    json: { enum: ['off', 'none'] },
    expand: (found) => (isOff(found) ? { upstream: 'off', reply: { status: null } } : undefined),
  },
);
