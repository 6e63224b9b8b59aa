import type { PresetExamples } from '../../support/preset-examples.ts';

export const brevo: PresetExamples = {
  hosts: ['api.brevo.com'],
  replies: [
    { status: 429, headers: { 'x-sib-ratelimit-reset': '17' }, means: 'retry rate_limited throttled 17s' },
    { call: 'POST /v3/smtp/email', status: 503, means: 'not_idempotent' },
  ],
  quotas: [
    {
      headers: {
        'x-sib-ratelimit-limit': '1000',
        'x-sib-ratelimit-remaining': '999',
        'x-sib-ratelimit-reset': '58',
      },
      readings: [{ remaining: 999, limit: 1000, resetMs: 58_000 }],
    },
  ],
};
