import type { Preset, PresetErrorRule } from './preset.ts';

const LIMITS = 'https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api';
const GRAPHQL =
  'https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api';

/** Refused before processing: GitHub's own client repeats such calls, whatever their method (octokit/plugin-throttling.js). */
const REFUSED = { means: 'not_processed', throttled: true } as const;

const RULES: readonly PresetErrorRule[] = [
  {
    name: 'secondary_rate_limit',
    source: LIMITS,
    status: [403, 429],
    body: { '/message': ['*secondary rate limit*', '*abuse detection*'] },
    ...REFUSED,
    wait: '60s',
  },
  {
    name: 'primary_rate_limit',
    source: LIMITS,
    status: [403, 429],
    headers: { 'x-ratelimit-remaining': '0' },
    ...REFUSED,
    wait: 'x-ratelimit-reset',
  },
];

/** Compared: both limits, and the wait of a minute, with octokit/plugin-throttling.js. */
export const github: Preset = {
  hosts: ['api.github.com'],
  about:
    'Primary and secondary limits with 403 and 429, with a wait of a minute or until the reset; limits of GraphQL with 200.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: {
    'timeouts.attempt': 'https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api',
  },
  // GitHub ends a call after 10 s. The total leaves time for the minute that a secondary limit asks for.
  timeouts: { attempt: '15s', total: '2m' },
  retry: { retry_after: { max: '75s' } },
  quota: {
    wait: '75s',
    formats: [
      {
        limit: 'x-ratelimit-limit',
        remaining: 'x-ratelimit-remaining',
        reset: 'x-ratelimit-reset',
        reset_as: 'epoch_s',
        resource: 'x-ratelimit-resource',
      },
    ],
  },
  errors: { rules: RULES },
  routes: [
    {
      name: 'graphql',
      source: GRAPHQL,
      match: { method: 'POST', path: '/graphql' },
      errors: {
        inspect: 'all',
        rules: [
          ...RULES,
          {
            name: 'graphql_rate_limit',
            source: GRAPHQL,
            status: 200,
            headers: { 'x-ratelimit-remaining': '0' },
            body: { '/errors/*/type': ['RATE_LIMITED', 'RATE_LIMIT'] },
            ...REFUSED,
            wait: 'x-ratelimit-reset',
          },
        ],
      },
    },
  ],
};
