import * as z from 'zod';
import type { QuotaFormat } from '../../http/rate-limit.ts';
import { section } from '../fields/field.ts';
import { choice, decimal, flag, text } from '../fields/fields.ts';
import { checkHeaderName } from '../fields/words.ts';

const header = (doc: string) => text(undefined, doc, checkHeaderName);

const RESETS = [
  'auto',
  'go_duration',
  'epoch_s',
  'epoch_ms',
  'delta_s',
  'delta_ms',
  'date',
  'minute_date',
] as const;

const format = section('How one of its quotas stands in the headers of its replies.', {
  bucket: text(undefined, 'Tells it from other quotas of the same API: a label of metrics.'),
  unit: choice(['calls', 'cost'], undefined, 'What is counted: calls, or what quota.cost says.'),
  limit: header('The header with the limit.'),
  remaining: header('The header with what is left of it.'),
  reset: header('The header with when it is whole again.'),
  reset_as: choice(RESETS, undefined, 'How that is written; auto finds out by the look of it.'),
  continuous: flag(
    undefined,
    'It continuous back all the time, and the reset is the moment when it is full again; otherwise it comes back whole at the reset.',
  ),
  resource: header('The header that names which of several quotas a reply speaks of.'),
  used: header(
    'A header with used/size, of which so much continuous back all the time; in place of the others.',
  ),
  leak: decimal(undefined, 'How much of it continuous back in a second.', 0.001, 1_000_000),
});

export const formats = z
  .array(format)
  .register(z.globalRegistry, {
    description:
      'Headers to learn from, besides the RateLimit field of the standard; X-RateLimit-… and its kin when left out.',
  })
  .optional();

/** As the policy takes it; undefined where nothing is written. */
export function quotaFormats(written: z.output<typeof formats>): readonly QuotaFormat[] | undefined {
  return written?.map(({ reset_as: resetAs, used, leak, ...rest }) => {
    const named = Object.fromEntries(
      Object.entries({ ...rest, resetAs })
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [
          key,
          typeof value === 'string' && key !== 'bucket' ? value.toLowerCase() : value,
        ]),
    );
    return used === undefined
      ? named
      : { ...named, combined: { header: used.toLowerCase(), leakPerSecond: leak ?? 1 } };
  });
}
