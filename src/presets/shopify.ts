import type { Preset } from './preset.ts';

const REST = 'https://shopify.dev/docs/api/admin-rest/usage/rate-limits';
const AUTHENTICATION = 'https://shopify.dev/docs/api/usage/authentication';
const GRAPHQL = 'https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits';

/** Compared: the statuses that are repeated with its client. */
export const shopify: Preset = {
  hosts: ['*.myshopify.com'],
  url: 'https://{shop}.myshopify.com',
  about:
    '`THROTTLED` with a 200 of GraphQL, with the wait until its points are available; a 429 of the REST API was never processed.',
  source: REST,
  verified: '2026-11-30',
  sources: {
    'quota.credential_headers': AUTHENTICATION,
    identity: AUTHENTICATION,
  },
  identity: {
    secret_names: [
      'x-shopify-access-token',
      'x-shopify-storefront-access-token',
      'shopify-storefront-private-token',
    ],
  },
  // One bucket for each app and store.
  quota: {
    scope: 'credential',
    credential_headers: ['x-shopify-access-token', 'authorization'],
    formats: [{ used: 'x-shopify-shop-api-call-limit', leak: 2 }],
  },
  errors: {
    rules: [{ name: 'call_limit', source: REST, status: 429, means: 'not_processed', throttled: true }],
  },
  routes: [
    {
      name: 'graphql',
      source: GRAPHQL,
      match: { method: 'POST', path: '/admin/api/*/graphql.json' },
      // GraphQL counts points, separately from the calls of the REST API.
      quota: { scope: 'path' },
      errors: {
        inspect: 'all',
        rules: [
          {
            name: 'throttled',
            source: GRAPHQL,
            status: [200, 429],
            body: { '/errors/*/extensions/code': 'THROTTLED' },
            means: 'not_processed',
            throttled: true,
            wait: '(/extensions/cost/requestedQueryCost - /extensions/cost/throttleStatus/currentlyAvailable) / /extensions/cost/throttleStatus/restoreRate',
          },
          { name: 'call_limit', source: REST, status: 429, means: 'not_processed', throttled: true },
        ],
      },
    },
  ],
};
