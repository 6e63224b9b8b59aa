import type { PresetExamples } from '../../support/preset-examples.ts';

export const cloudflare: PresetExamples = {
  hosts: ['api.cloudflare.com'],
  replies: [
    { status: 429, headers: { 'retry-after': '30' }, means: 'retry rate_limited throttled 30s' },
    { status: 503, headers: { 'x-should-retry': 'false' }, call: 'GET /client/v4/zones', means: 'veto' },
    { status: 503, call: 'GET /client/v4/zones', means: 'retry' },
    { status: 503, means: 'not_idempotent' },
  ],
  quotas: [
    {
      headers: { ratelimit: '"default";r=50;t=30', 'ratelimit-policy': '"burst";q=100;w=60' },
      readings: [{ remaining: 50, resetMs: 30_000 }],
    },
  ],
};
