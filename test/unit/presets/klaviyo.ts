import type { PresetExamples } from '../../support/preset-examples.ts';

export const klaviyo: PresetExamples = {
  hosts: ['a.klaviyo.com'],
  replies: [
    { status: 429, headers: { 'retry-after': '36' }, means: 'retry rate_limited throttled 36s' },
    { call: 'POST /api/events', status: 503, means: 'not_idempotent' },
    { call: 'GET /api/profiles', status: 524, means: 'retry' },
  ],
  quotas: [
    {
      headers: { 'ratelimit-limit': '700', 'ratelimit-remaining': '699', 'ratelimit-reset': '60' },
      readings: [{ remaining: 699, limit: 700, resetMs: 60_000 }],
    },
  ],
};
