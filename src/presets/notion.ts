import { type Preset, safePosts, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developers.notion.com/reference/request-limits';
const SDK = 'https://github.com/makenotion/notion-sdk-js/blob/main/src/Client.ts';

const reads = safePosts('https://github.com/makenotion/notion-sdk-js/tree/main/src/api-endpoints');

/** Its client repeats any call after 429 and 529, and reads after 500 and 503. */
export const notion: Preset = {
  hosts: ['api.notion.com'],
  about:
    '429 and 529 are repeated after the wait in `Retry-After`, of up to a minute; searches and queries only read.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: {
    'retry.not_processed': SDK,
  },
  retry: { not_processed: [529] },
  // A connection has a window of a minute.
  quota: { wait: '65s' },
  errors: { rules: [tooManyRequests(LIMITS)] },
  routes: [reads('search', '/v1/search'), reads('query-data-source', '/v1/data_sources/*/query')],
};
