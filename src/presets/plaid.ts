import { type Preset, safePosts } from './preset.ts';

const OPENAPI = 'https://github.com/plaid/plaid-openapi/blob/master/2020-09-14.yml';

/** Every call is a POST, and the last word of its path says what it does. */
const reads = safePosts(OPENAPI);

export const plaid: Preset = {
  hosts: ['production.plaid.com', 'sandbox.plaid.com'],
  about:
    'Every call is a POST: those that get, list, sync or search may be repeated; rate limits by the type of the error.',
  source: OPENAPI,
  verified: '2026-11-30',
  identity: { secret_names: ['plaid-secret'], account_names: ['plaid-client-id'] },
  quota: { credential_headers: ['plaid-client-id'] },
  errors: {
    rules: [
      {
        name: 'rate_limit_exceeded',
        source: OPENAPI,
        body: { '/error_type': 'RATE_LIMIT_EXCEEDED' },
        means: 'not_processed',
        throttled: true,
      },
    ],
  },
  routes: [
    reads('get', '/*/get'),
    reads('get-of-product', '/*/*/get'),
    reads('get-of-report', '/*/*/*/get'),
    reads('list', '/*/list'),
    reads('list-of-product', '/*/*/list'),
    reads('list-of-report', '/*/*/*/list'),
    reads('sync', '/*/sync'),
    reads('sync-of-product', '/*/*/sync'),
    reads('search', '/*/search'),
    reads('institution', '/institutions/get_by_id'),
  ],
};
