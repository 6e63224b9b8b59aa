import type { Preset, PresetErrorRule, PresetRoute } from './preset.ts';

const ERRORS = 'https://platform.openai.com/docs/guides/error-codes';
const AUTHENTICATION = 'https://platform.openai.com/docs/api-reference/authentication';
const SDK = 'https://github.com/openai/openai-node/blob/master/src/client.ts';

/** Refused for money: waiting does not bring it back. Old errors say so in their type, new ones in their code. */
export const UNPAID: readonly PresetErrorRule[] = [
  {
    name: 'insufficient_quota',
    source: ERRORS,
    status: 429,
    body: { '/error/type': 'insufficient_quota' },
    means: 'permanent',
    throttled: true,
  },
  {
    name: 'quota_or_spend_limit',
    source: ERRORS,
    status: 429,
    body: {
      '/error/code': [
        'insufficient_quota',
        'credit_balance_exhausted',
        'organization_spend_limit_exceeded',
        'project_spend_limit_exceeded',
        'organization_usage_limit_exceeded',
      ],
    },
    means: 'permanent',
    throttled: true,
  },
  { name: 'rate_limit_exceeded', source: ERRORS, status: 429, means: 'not_processed', throttled: true },
];

/** Endpoints that answer and keep nothing: a second call costs, but does no harm, and the SDK makes one too. */
const answers = (name: string, path: string): PresetRoute => ({
  name,
  source: SDK,
  match: { method: 'POST', path },
  retry: { safe: true },
});

export const openai: Preset = {
  about:
    'Long answers and pauses in them, `x-should-retry`, quotas that waiting does not bring back; completions and embeddings may be repeated.',
  source: ERRORS,
  sources: {
    timeouts: SDK,
    'retry.veto_headers': SDK,
    quota: 'https://platform.openai.com/docs/guides/rate-limits',
    'quota.wait': SDK,
    'quota.credential_headers': AUTHENTICATION,
    identity: AUTHENTICATION,
  },
  identity: { account_names: ['openai-organization', 'openai-project'] },
  timeouts: { attempt: '10m', idle: '10m', total: '10m' },
  retry: { veto_headers: ['x-should-retry'] },
  // Limits are per model. An SDK waits 10 minutes; a quota of a minute is worth two of them.
  quota: {
    scope: '/model',
    wait: '2m',
    credential_headers: ['authorization', 'openai-organization', 'openai-project'],
    formats: ['requests', 'tokens'].map((bucket) => ({
      bucket,
      unit: bucket === 'tokens' ? 'cost' : 'calls',
      limit: `x-ratelimit-limit-${bucket}`,
      remaining: `x-ratelimit-remaining-${bucket}`,
      reset: `x-ratelimit-reset-${bucket}`,
      reset_as: 'go_duration',
      continuous: true,
    })),
  },
  errors: { rules: UNPAID },
  routes: [
    answers('chat-completions', '/v1/chat/completions'),
    answers('completions', '/v1/completions'),
    answers('embeddings', '/v1/embeddings'),
    answers('moderations', '/v1/moderations'),
  ],
};
