import type { PresetExamples } from '../../support/preset-examples.ts';

export const sendgrid: PresetExamples = {
  hosts: ['api.sendgrid.com', 'api.eu.sendgrid.com'],
  replies: [
    {
      status: 429,
      headers: {
        'x-ratelimit-limit': '150',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '1767225607',
      },
      body: { errors: [{ field: null, message: 'too many requests' }] },
      means: 'retry rate_limited throttled 7s',
    },
    { call: 'POST /v3/mail/send', status: 503, means: 'not_idempotent' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit': '500',
        'x-ratelimit-remaining': '499',
        'x-ratelimit-reset': '1767225607',
      },
      readings: [{ remaining: 499, limit: 500, resetMs: 7000 }],
    },
  ],
};
