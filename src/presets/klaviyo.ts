import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling';
const SDK = 'https://github.com/klaviyo/klaviyo-api-node/blob/main/api/apis.ts';

export const klaviyo: Preset = {
  hosts: ['a.klaviyo.com'],
  about: 'A 429 was never processed; each endpoint has its own limits of a second and of a minute.',
  source: LIMITS,
  verified: '2026-11-30',
  quota: { scope: 'path', wait: '65s' },
  errors: { rules: [tooManyRequests(SDK)] },
};
