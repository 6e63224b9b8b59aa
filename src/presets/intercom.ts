import { type Preset, safePosts, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developers.intercom.com/docs/references/rest-api/errors/rate-limiting';
const SDK = 'https://github.com/intercom/intercom-node/blob/master/src/core/fetcher/requestWithRetries.ts';

const reads = safePosts('https://github.com/intercom/intercom-node/tree/master/src/api/resources');

export const intercom: Preset = {
  hosts: ['api.intercom.io', 'api.eu.intercom.io', 'api.au.intercom.io'],
  about:
    'Limits of ten seconds: a 429 was never processed, and `X-RateLimit-Reset` says when to come back; searches only read.',
  source: LIMITS,
  verified: '2026-11-30',
  errors: { rules: [tooManyRequests(SDK, 'x-ratelimit-reset')] },
  routes: [
    reads('search-contacts', '/contacts/search'),
    reads('search-conversations', '/conversations/search'),
    reads('search-tickets', '/tickets/search'),
    reads('search-calls', '/calls/search'),
  ],
};
