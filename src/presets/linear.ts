import type { Preset } from './preset.ts';

const ERRORS = 'https://github.com/linear/linear/blob/master/packages/sdk/src/error.ts';

/** Errors of GraphQL come with statuses from 400. */
export const linear: Preset = {
  hosts: ['api.linear.app'],
  about:
    'Limits of calls and of complexity in `x-ratelimit-…`; a rate limit by its type or a 429, never processed.',
  source: ERRORS,
  verified: '2026-11-30',
  quota: {
    formats: (['requests', 'complexity'] as const).map((bucket) => ({
      bucket,
      unit: bucket === 'requests' ? 'calls' : 'cost',
      limit: `x-ratelimit-${bucket}-limit`,
      remaining: `x-ratelimit-${bucket}-remaining`,
      reset: `x-ratelimit-${bucket}-reset`,
    })),
  },
  errors: {
    rules: [
      {
        name: 'ratelimited',
        source: ERRORS,
        body: { '/errors/*/extensions/type': 'ratelimited' },
        means: 'not_processed',
        throttled: true,
      },
      { name: 'rate_limited', source: ERRORS, status: 429, means: 'not_processed', throttled: true },
    ],
  },
};
