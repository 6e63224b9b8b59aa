import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developers.cloudflare.com/fundamentals/api/reference/limits/';
const SDK = 'https://github.com/cloudflare/cloudflare-typescript/blob/main/src/client.ts';

/** Its quotas are in the standard RateLimit field, which is always read. Too many calls are refused for five minutes. */
export const cloudflare: Preset = {
  hosts: ['api.cloudflare.com'],
  about: 'A 429 was never processed; `x-should-retry` is obeyed; the keys of an account are secrets too.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: {
    'retry.veto_headers': SDK,
    'quota.credential_headers': SDK,
    identity: SDK,
  },
  identity: { secret_names: ['x-auth-key', 'x-auth-user-service-key'], account_names: ['x-auth-email'] },
  retry: { veto_headers: ['x-should-retry'] },
  quota: { credential_headers: ['authorization', 'x-auth-email'] },
  errors: { rules: [tooManyRequests(SDK)] },
};
