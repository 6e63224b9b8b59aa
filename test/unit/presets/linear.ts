import type { PresetExamples } from '../../support/preset-examples.ts';

export const linear: PresetExamples = {
  hosts: ['api.linear.app'],
  replies: [
    {
      call: 'POST /graphql',
      status: 400,
      body: { errors: [{ message: 'Rate limit exceeded', extensions: { type: 'ratelimited' } }] },
      means: 'retry ratelimited throttled',
    },
    {
      call: 'POST /graphql',
      status: 429,
      headers: { 'retry-after': '12' },
      means: 'retry rate_limited throttled 12s',
    },
    {
      call: 'POST /graphql',
      status: 400,
      body: { errors: [{ extensions: { type: 'invalid input' } }] },
      means: 'not_retryable',
    },
    { call: 'POST /graphql', status: 503, means: 'not_idempotent' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-requests-limit': '2500',
        'x-ratelimit-requests-remaining': '19',
        'x-ratelimit-requests-reset': '1767225630000',
        'x-ratelimit-complexity-limit': '3000000',
        'x-ratelimit-complexity-remaining': '2999927',
        'x-ratelimit-complexity-reset': '1767225660000',
      },
      readings: [
        { bucket: 'requests', remaining: 19, limit: 2500, resetMs: 30_000 },
        { bucket: 'complexity', unit: 'cost', remaining: 2_999_927, limit: 3_000_000, resetMs: 60_000 },
      ],
    },
  ],
};
