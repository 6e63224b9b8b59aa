import type { PresetExamples } from '../../support/preset-examples.ts';

export const okta: PresetExamples = {
  hosts: ['dev-1234.okta.com', 'dev-1234.oktapreview.com'],
  replies: [
    {
      status: 429,
      headers: {
        'x-rate-limit-limit': '1',
        'x-rate-limit-remaining': '0',
        'x-rate-limit-reset': '1767225629',
      },
      body: { errorCode: 'E0000047', errorSummary: 'API call exceeded rate limit due to too many requests.' },
      means: 'retry rate_limited throttled 29s',
    },
    {
      status: 401,
      body: { errorCode: 'E0000004', errorSummary: 'Authentication failed' },
      means: 'not_retryable',
    },
    { status: 503, means: 'not_idempotent' },
  ],
  quotas: [
    {
      headers: {
        'x-rate-limit-limit': '1200',
        'x-rate-limit-remaining': '1199',
        'x-rate-limit-reset': '1767225660',
      },
      readings: [{ remaining: 1199, limit: 1200, resetMs: 60_000 }],
    },
    // A limit of concurrent calls.
    {
      headers: {
        'x-rate-limit-limit': '0',
        'x-rate-limit-remaining': '0',
        'x-rate-limit-reset': '1767225602',
      },
      readings: [{ remaining: 0, resetMs: 2000 }],
    },
  ],
};
