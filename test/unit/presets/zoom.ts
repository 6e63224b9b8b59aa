import type { PresetExamples } from '../../support/preset-examples.ts';

export const zoom: PresetExamples = {
  hosts: ['api.zoom.us'],
  replies: [
    {
      status: 429,
      headers: { 'x-ratelimit-type': 'Daily-limit', 'retry-after': '2026-01-02T00:00:00Z' },
      body: {
        code: 429,
        message:
          'You have reached the maximum daily rate limit for this API. Refer to the response header for details on when you can make another request.',
      },
      means: 'permanent limit_of_the_day throttled',
    },
    {
      status: 429,
      body: {
        code: 429,
        message: 'You have reached the maximum per-second rate limit for this API. Try again later.',
      },
      means: 'retry rate_limited throttled 1s',
    },
    { status: 503, means: 'not_idempotent' },
  ],
};
