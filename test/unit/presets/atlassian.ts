import type { PresetExamples } from '../../support/preset-examples.ts';

export const atlassian: PresetExamples = {
  hosts: ['my-site.atlassian.net', 'api.atlassian.com'],
  replies: [
    {
      call: 'GET /x',
      status: 429,
      headers: { 'retry-after': '12', 'x-ratelimit-reset': '2026-01-01T00:05Z' },
      means: 'retry rate_limited throttled 12s',
    },
    {
      call: 'GET /x',
      status: 429,
      headers: { 'x-ratelimit-reset': '2026-01-01T00:05Z' },
      means: 'retry rate_limited throttled 300s',
    },
    { call: 'GET /x', status: 503, headers: { 'retry-after': '4' }, means: 'retry 4s' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit': '350',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '2026-01-01T00:02Z',
      },
      readings: [{ bucket: 'default', remaining: 0, limit: 350, resetMs: 120000 }],
    },
  ],
};
