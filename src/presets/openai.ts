import { FAILED_RESPONSES, STREAM, STREAM_SOURCES, UNPAID_CODES } from './openai-streams.ts';
import {
  type Preset,
  type PresetErrorRule,
  type PresetQuotaFormat,
  type PresetRoute,
  safePosts,
} from './preset.ts';

const ERRORS = 'https://platform.openai.com/docs/guides/error-codes';
const AUTHENTICATION = 'https://platform.openai.com/docs/api-reference/authentication';
const SDK = 'https://github.com/openai/openai-node/blob/master/src/client.ts';

/** Refused because of an unpaid or exhausted quota: waiting does not help. Old errors say so in their type, new ones in their code. */
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
    body: { '/error/code': UNPAID_CODES },
    means: 'permanent',
    throttled: true,
  },
  { name: 'rate_limit_exceeded', source: ERRORS, status: 429, means: 'not_processed', throttled: true },
];

/** In a reply or in its last event (`stream_options.include_usage`), and in the last event of a stream of Responses. */
export const TOTAL_TOKENS = [['/usage/total_tokens', '/response/usage/total_tokens']];

/** The quota headers, per model. `more`: how a reset is written, and what it means. */
export const quotaFormats = (
  more: Pick<PresetQuotaFormat, 'reset_as' | 'continuous'>,
): readonly PresetQuotaFormat[] =>
  (['requests', 'tokens'] as const).map((bucket) => ({
    bucket,
    unit: bucket === 'tokens' ? 'cost' : 'calls',
    limit: `x-ratelimit-limit-${bucket}`,
    remaining: `x-ratelimit-remaining-${bucket}`,
    reset: `x-ratelimit-reset-${bucket}`,
    ...more,
  }));

/** The SDK repeats them too. */
const answers = safePosts(SDK);

/** It stores its answers and may use tools, so it is not repeated like a GET. */
export const failsWith200 = (name: string, path: string): PresetRoute => ({
  name,
  source: 'https://platform.openai.com/docs/api-reference/responses/object#responses/object-error',
  match: { method: 'POST', path },
  errors: { inspect: 'all' },
});

/** Compared: timeouts, the veto header and waits with its client; codes of failed responses with its OpenAPI document. */
export const openai: Preset = {
  hosts: ['api.openai.com'],
  about:
    'Long replies with pauses, `x-should-retry`, exhausted quotas that are not retried; completions and embeddings may be repeated. Errors within a stream or a 200.',
  source: ERRORS,
  verified: '2026-11-30',
  sources: {
    timeouts: SDK,
    'retry.veto_headers': SDK,
    quota: 'https://platform.openai.com/docs/guides/rate-limits',
    'quota.formats': 'https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers',
    'quota.wait': SDK,
    'quota.cost.reply': 'https://platform.openai.com/docs/api-reference/chat/object#chat-object-usage',
    'quota.credential_headers': AUTHENTICATION,
    identity: AUTHENTICATION,
    ...STREAM_SOURCES,
  },
  identity: { account_names: ['openai-organization', 'openai-project'] },
  timeouts: { attempt: '10m', idle: '10m', total: '10m' },
  retry: { veto_headers: ['x-should-retry'] },
  // Limits are per model. SDKs wait 10 minutes; limits of a minute justify a wait of two.
  quota: {
    scope: '/model',
    wait: '2m',
    cost: { reply: TOTAL_TOKENS },
    credential_headers: ['authorization', 'openai-organization', 'openai-project'],
    // A reset is the time until the limit is in its initial state again, so the bucket is full then: `continuous`.
    formats: quotaFormats({ reset_as: 'go_duration', continuous: true }),
  },
  errors: { rules: [...UNPAID, ...FAILED_RESPONSES] },
  stream: STREAM,
  routes: [
    answers('chat-completions', '/v1/chat/completions'),
    answers('completions', '/v1/completions'),
    answers('embeddings', '/v1/embeddings'),
    answers('moderations', '/v1/moderations'),
    failsWith200('responses', '/v1/responses'),
  ],
};
