import type { Preset } from './preset.ts';

const TOO_MANY = 'https://www.twilio.com/docs/api/errors/20429';

/** Compared: the 429 with the page of its error. */
export const twilio: Preset = {
  hosts: ['*.twilio.com'],
  url: 'https://api.twilio.com',
  about:
    'A 429 was never processed, so any call is repeated; limits of a verification are not retried. `auth.basic` adds account and token.',
  source: TOO_MANY,
  verified: '2026-11-30',
  errors: {
    rules: [
      {
        name: 'verify_attempts',
        source: 'https://www.twilio.com/docs/api/errors/60203',
        status: 429,
        body: { '/code': ['60202', '60203'] },
        means: 'permanent',
      },
      { name: 'too_many_requests', source: TOO_MANY, status: 429, means: 'not_processed', throttled: true },
    ],
  },
};
