import type { PresetExamples } from '../../support/preset-examples.ts';

export const atlassian: PresetExamples = {
  hosts: ['my-site.atlassian.net', 'api.atlassian.com'],
  replies: [
    {
      call: 'PUT /rest/api/3/issue/A-1',
      status: 429,
      headers: { 'ratelimit-reason': 'jira-per-issue-on-write', 'retry-after': '3' },
      means: 'retry limit_of_one_issue 3s',
    },
    {
      call: 'GET /rest/api/3/search',
      status: 429,
      headers: { 'ratelimit-reason': 'jira-burst-based', 'retry-after': '2' },
      means: 'retry rate_limited throttled 2s',
    },
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
