import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developer.okta.com/docs/reference/rl2-monitor/';
const SDK = 'https://github.com/okta/okta-sdk-nodejs/blob/master/src/default-request-executor.js';

/**
 * Buckets apply to some endpoints each, and reset every minute. A limit of concurrent calls has the same form, with a limit and a
 * remaining amount of 0.
 */
export const okta: Preset = {
  hosts: ['*.okta.com', '*.oktapreview.com'],
  url: 'https://{org}.okta.com',
  about: 'A 429 was never processed, and `X-Rate-Limit-Reset` says when to come back.',
  source: LIMITS,
  verified: '2026-11-30',
  quota: { wait: '65s' },
  errors: { rules: [tooManyRequests(SDK, 'x-rate-limit-reset')] },
};
