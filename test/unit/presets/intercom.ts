import type { PresetExamples } from '../../support/preset-examples.ts';

export const intercom: PresetExamples = {
  hosts: ['api.intercom.io', 'api.eu.intercom.io', 'api.au.intercom.io'],
  replies: [
    {
      status: 429,
      headers: {
        'x-ratelimit-limit': '167',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': '1767225610',
      },
      body: {
        errors: [{ code: 'rate_limit_exceeded', message: 'Exceeded rate limit of 167 in 10_seconds' }],
      },
      means: 'retry rate_limited throttled 10s',
    },
    { status: 503, means: 'not_idempotent' },
  ],
  requests: [
    { call: 'POST /contacts/search', repeats: 'safe' },
    { call: 'POST /conversations/search', repeats: 'safe' },
    { call: 'POST /tickets/search', repeats: 'safe' },
    { call: 'POST /calls/search', repeats: 'safe' },
    { call: 'POST /contacts', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit': '167',
        'x-ratelimit-remaining': '166',
        'x-ratelimit-reset': '1767225610',
      },
      readings: [{ remaining: 166, limit: 167, resetMs: 10_000 }],
    },
  ],
};
