import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developers.brevo.com/docs/limit-headers';

export const brevo: Preset = {
  hosts: ['api.brevo.com'],
  about: 'Limits in `x-sib-ratelimit-…`, with the seconds to the reset; a 429 was never processed.',
  source: LIMITS,
  verified: '2026-11-30',
  quota: {
    formats: [
      {
        limit: 'x-sib-ratelimit-limit',
        remaining: 'x-sib-ratelimit-remaining',
        reset: 'x-sib-ratelimit-reset',
        reset_as: 'delta_s',
      },
    ],
  },
  errors: { rules: [tooManyRequests(LIMITS, 'x-sib-ratelimit-reset')] },
};
