import { type Preset, safePosts } from './preset.ts';

const SDK = 'https://github.com/square/square-nodejs-sdk/blob/master/src/core/fetcher/requestWithRetries.ts';
const CODES = 'https://github.com/square/square-nodejs-sdk/blob/master/src/api/types/ErrorCode.ts';

const reads = safePosts('https://github.com/square/square-nodejs-sdk/tree/master/src/api/resources');

/** Idempotency keys are in the body, where the proxy does not see them. */
export const square: Preset = {
  hosts: ['connect.squareup.com', 'connect.squareupsandbox.com'],
  about:
    'A 429 (`RATE_LIMITED`) was never processed; searches and batch reads may be repeated. Idempotency keys are in the body, so other POSTs are not.',
  source: SDK,
  verified: '2026-11-30',
  errors: {
    rules: [
      {
        name: 'rate_limited',
        source: CODES,
        status: 429,
        body: { '/errors/*/code': 'RATE_LIMITED' },
        means: 'not_processed',
        throttled: true,
      },
      { name: 'too_many_requests', source: SDK, status: 429, means: 'not_processed', throttled: true },
    ],
  },
  routes: [
    reads('search', '/v2/*/search'),
    reads('search-of-part', '/v2/*/*/search'),
    reads('search-catalog-items', '/v2/catalog/search-catalog-items'),
    reads('batch-retrieve', '/v2/*/batch-retrieve'),
    reads('batch-retrieve-of-part', '/v2/*/*/batch-retrieve'),
    reads('bulk-retrieve', '/v2/*/bulk-retrieve'),
    reads('bulk-retrieve-of-part', '/v2/*/*/bulk-retrieve'),
  ],
};
