import type { Preset } from './preset.ts';

const LIMITS = 'https://docs.discord.com/developers/topics/rate-limits';

/** Compared: headers, bodies and scopes of limits with its page. */
export const discord: Preset = {
  hosts: ['discord.com'],
  about:
    'A 429 was never processed, and its body has the wait in seconds, with decimals. Counts of single routes are not learned.',
  source: LIMITS,
  verified: '2026-11-30',
  // The counts in headers are those of single routes, and must not delay calls to other routes.
  quota: { learn: false },
  errors: {
    rules: [
      {
        name: 'global_rate_limit',
        source: LIMITS,
        status: 429,
        headers: { 'x-ratelimit-scope': 'global' },
        means: 'not_processed',
        throttled: true,
        wait: '/retry_after',
      },
      {
        name: 'route_rate_limit',
        source: LIMITS,
        status: 429,
        means: 'not_processed',
        wait: '/retry_after',
      },
    ],
  },
};
