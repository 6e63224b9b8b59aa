import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developer.xero.com/documentation/guides/oauth2/limits/';
const OPENAPI = 'https://github.com/XeroAPI/Xero-OpenAPI/blob/master/xero_accounting.yaml';

export const xero: Preset = {
  hosts: ['api.xero.com'],
  about:
    'An idempotency key for every POST; a PUT creates, so it is not repeated; the limit of a minute is waited for, that of the day is not. Limits are per organisation.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: { 'retry.idempotency_key': OPENAPI, 'retry.idempotency_header': OPENAPI, identity: OPENAPI },
  identity: { account_names: ['xero-tenant-id'] },
  retry: { idempotency_key: 'inject', idempotency_header: 'idempotency-key' },
  quota: { wait: '65s', credential_headers: ['authorization', 'xero-tenant-id'] },
  errors: {
    rules: [
      {
        name: 'limit_of_the_day',
        // The values of this header.
        source: 'https://github.com/freakboy3742/pyxero/blob/main/src/xero/basemanager.py',
        status: 429,
        headers: { 'x-rate-limit-problem': 'day*' },
        means: 'permanent',
        throttled: true,
      },
      tooManyRequests(LIMITS),
    ],
  },
  routes: [
    {
      // Against the meaning of PUT, it creates here: a second one creates a second invoice.
      name: 'create',
      source: OPENAPI,
      match: { method: 'PUT', path: '/api.xro/2.0/**' },
      retry: { attempts: 1 },
    },
  ],
};
