import type { PresetExamples } from '../../support/preset-examples.ts';

export const zendesk: PresetExamples = {
  hosts: ['my-company.zendesk.com'],
  replies: [
    {
      status: 429,
      headers: { 'retry-after': '93', 'x-rate-limit': '700', 'x-rate-limit-remaining': '0' },
      body: 'Number of allowed API requests per minute exceeded',
      means: 'retry rate_limited throttled 93s',
    },
    { call: 'POST /api/v2/tickets', status: 503, means: 'retry' },
    { call: 'POST /api/v2/users', status: 503, means: 'not_idempotent' },
  ],
  requests: [
    { call: 'POST /api/v2/tickets', repeats: 'inject idempotency-key' },
    { call: 'POST /api/v2/tickets.json', repeats: 'inject idempotency-key' },
    { call: 'POST /api/v2/users', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'x-rate-limit': '700',
        'ratelimit-limit': '700',
        'x-rate-limit-remaining': '699',
        'ratelimit-remaining': '699',
        'ratelimit-reset': '41',
        'zendesk-ratelimit-tickets-index': 'total=100; remaining=99; resets=41',
      },
      readings: [{ remaining: 699, limit: 700, resetMs: 41_000 }],
    },
  ],
};
