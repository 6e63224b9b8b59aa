import type { Preset } from './preset.ts';

const LIMITS = 'https://developer.atlassian.com/cloud/jira/platform/rate-limiting';

export const atlassian: Preset = {
  hosts: ['*.atlassian.net', 'api.atlassian.com'],
  about:
    'Rate limits with the wait in `Retry-After` or, to the minute, in `X-RateLimit-Reset`; a 5xx with a wait.',
  source: LIMITS,
  verified: '2026-11-30',
  retry: { retry_after: { max: '65s' } },
  quota: {
    formats: [
      {
        limit: 'x-ratelimit-limit',
        remaining: 'x-ratelimit-remaining',
        reset: 'x-ratelimit-reset',
        reset_as: 'minute_date',
      },
    ],
  },
  errors: {
    rules: [
      { name: 'rate_limited', source: LIMITS, status: 429, throttled: true, wait: 'x-ratelimit-reset' },
    ],
  },
};
