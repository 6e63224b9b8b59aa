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

const format = section('Which response headers describe one quota of the API.', {
  bucket: text(undefined, 'Name of the quota, in metrics.'),
  unit: choice(['calls', 'cost'], undefined, 'What is counted. calls: calls. cost: the cost by quota.cost.'),
  limit: header('The header with the limit.'),
  remaining: header('The header with the amount that is left.'),
  reset: header('The header with the time of the reset.'),
  reset_as: choice(RESETS, undefined, 'Format of the reset. auto: guessed from its value.'),
  continuous: flag(
    undefined,
    'true: the quota refills all the time (a token bucket), and the reset is when it is full. false: it refills at the reset.',
  ),
  resource: header('The header that says which of several quotas a reply describes.'),
  used: header(
    'A header with used/size, such as 10/40, in place of limit, remaining and reset. leak says how fast it refills.',
  ),
  leak: decimal(undefined, 'How much of used refills in a second. Default: 1.', 0.001, 1_000_000),
});

export const formats = z
  .array(format)
  .register(z.globalRegistry, {
    description:
      'Response headers to learn from, in addition to the standard RateLimit field. Default: X-RateLimit-… and similar headers.',
  })
  .optional();

/** Options of the quota policy; undefined if nothing is written. */
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
