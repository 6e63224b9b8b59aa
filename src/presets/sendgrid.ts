import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS =
  'https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits';

export const sendgrid: Preset = {
  hosts: ['api.sendgrid.com', 'api.eu.sendgrid.com'],
  about:
    'Each endpoint has its own limit; a 429 was never processed, and `X-RateLimit-Reset` says when to come back.',
  source: LIMITS,
  verified: '2026-11-30',
  quota: { scope: 'path' },
  errors: { rules: [tooManyRequests(LIMITS, 'x-ratelimit-reset')] },
};
