import type { PresetExamples } from '../../support/preset-examples.ts';

export const github: PresetExamples = {
  hosts: ['api.github.com'],
  replies: [
    {
      status: 403,
      body: {
        message: 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
      },
      means: 'retry secondary_rate_limit throttled 60s',
    },
    {
      status: 429,
      headers: { 'retry-after': '5' },
      body: { message: 'You have exceeded a secondary rate limit' },
      means: 'retry secondary_rate_limit throttled 5s',
    },
    {
      status: 403,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1767225640' },
      body: { message: 'API rate limit exceeded for user ID 1.' },
      means: 'retry primary_rate_limit throttled 40s',
    },
    {
      status: 403,
      headers: { 'x-ratelimit-remaining': '12' },
      body: { message: 'Resource not accessible by integration' },
      means: 'not_retryable',
    },
    { status: 404, body: { message: 'Not Found' }, means: 'not_retryable' },
    {
      call: 'POST /graphql',
      status: 200,
      headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1767225609' },
      body: { errors: [{ type: 'RATE_LIMITED' }] },
      means: 'retry graphql_rate_limit throttled 9s',
    },
    {
      call: 'POST /graphql',
      status: 200,
      headers: { 'x-ratelimit-remaining': '0' },
      body: { data: {} },
      means: 'success',
    },
  ],
  requests: [
    { call: 'POST /graphql', repeats: 'none' },
    { call: 'POST /repos/o/r/issues', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit': '30',
        'x-ratelimit-remaining': '12',
        'x-ratelimit-used': '18',
        'x-ratelimit-reset': '1767225650',
        'x-ratelimit-resource': 'search',
      },
      readings: [{ bucket: 'default', remaining: 12, limit: 30, resetMs: 50000, resource: 'search' }],
    },
  ],
};
