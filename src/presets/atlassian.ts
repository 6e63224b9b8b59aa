import type { Preset } from './preset.ts';

const LIMITS = 'https://developer.atlassian.com/cloud/jira/platform/rate-limiting';

/** Compared: headers and reasons of limits with its pages. */
export const atlassian: Preset = {
  hosts: ['*.atlassian.net', 'api.atlassian.com'],
  url: 'https://{site}.atlassian.net',
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
      {
        // About one issue, so it must not delay calls to others.
        name: 'limit_of_one_issue',
        source: 'https://developer.atlassian.com/cloud/jira/platform/build-an-app-that-respects-rate-limits/',
        status: 429,
        headers: { 'ratelimit-reason': 'jira-per-issue-on-write' },
        means: 'retry',
        wait: 'x-ratelimit-reset',
      },
      { name: 'rate_limited', source: LIMITS, status: 429, throttled: true, wait: 'x-ratelimit-reset' },
    ],
  },
};
