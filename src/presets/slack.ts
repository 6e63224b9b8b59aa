import type { Preset, PresetRoute } from './preset.ts';

const LIMITS = 'https://docs.slack.dev/apis/web-api/rate-limits';
const METHODS = 'https://docs.slack.dev/reference/methods';

/** Methods of the Web API are POSTs even where they only read. */
const reads = (name: string, path: string): PresetRoute => ({
  name,
  source: METHODS,
  match: { method: 'POST', path },
  retry: { safe: true },
});

/** Compared: the 429 and its wait with its client. */
export const slack: Preset = {
  hosts: ['slack.com'],
  about:
    'A 429 was never processed, and usually asks for half a minute; POSTs that only read may be repeated. With `errors: { inspect: all }`, also `ratelimited` with 200.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: { identity: 'https://docs.slack.dev/authentication/tokens' },
  identity: { secret_names: ['token'] },
  retry: { retry_after: { max: '65s' } },
  // Each method of the API is a path, and has its own limit.
  quota: { scope: 'path', wait: '65s' },
  errors: {
    rules: [
      { name: 'rate_limited', source: LIMITS, status: 429, means: 'not_processed', throttled: true },
      {
        name: 'ratelimited',
        source: METHODS,
        status: 200,
        body: { '/ok': 'false', '/error': ['ratelimited', 'rate_limited'] },
        means: 'not_processed',
        throttled: true,
      },
    ],
  },
  routes: [
    reads('list', '/api/*.list'),
    reads('info', '/api/*.info'),
    reads('history', '/api/*.history'),
    reads('replies', '/api/*.replies'),
    reads('auth-test', '/api/auth.test'),
  ],
};
