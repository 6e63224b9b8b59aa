import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developers.zoom.us/docs/api/rate-limits/';

export const zoom: Preset = {
  hosts: ['api.zoom.us'],
  about: 'Limits of a second are waited for, those of the day are not.',
  source: LIMITS,
  verified: '2026-11-30',
  errors: {
    rules: [
      {
        name: 'limit_of_the_day',
        source: LIMITS,
        status: 429,
        body: { '/message': '*maximum daily rate limit*' },
        means: 'permanent',
        throttled: true,
      },
      tooManyRequests(LIMITS, '1s'),
    ],
  },
};
