import type { PresetExamples } from '../../support/preset-examples.ts';

export const discord: PresetExamples = {
  hosts: ['discord.com'],
  replies: [
    {
      status: 429,
      headers: { 'x-ratelimit-remaining': '9', 'x-ratelimit-scope': 'shared' },
      body: { message: 'The resource is being rate limited.', retry_after: 1336.57, global: false },
      means: 'retry route_rate_limit 1336.57s',
    },
    {
      status: 429,
      body: { message: 'You are being rate limited.', retry_after: 0.65, global: false },
      means: 'retry route_rate_limit 0.65s',
    },
    {
      status: 429,
      headers: { 'retry-after': '65', 'x-ratelimit-scope': 'user' },
      means: 'retry route_rate_limit 65s',
    },
    {
      status: 429,
      headers: { 'x-ratelimit-scope': 'global' },
      body: { retry_after: 2, global: true },
      means: 'retry global_rate_limit throttled 2s',
    },
    { status: 403, body: { code: 50001 }, means: 'not_retryable' },
  ],
};
