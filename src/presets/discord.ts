import type { Preset } from './preset.ts';

const LIMITS = 'https://docs.discord.com/developers/topics/rate-limits';

export const discord: Preset = {
  about: 'A 429 is a wait and no more, to the millisecond in its body.',
  source: LIMITS,
  // Its counts are those of single routes, and are no reason to hold calls to others.
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
