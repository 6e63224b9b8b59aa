import type { Preset, PresetRoute } from './preset.ts';

const ERRORS = 'https://platform.claude.com/docs/en/api/errors';
const LIMITS = 'https://platform.claude.com/docs/en/api/rate-limits';
const OVERVIEW = 'https://platform.claude.com/docs/en/api/overview';
const SDK = 'https://github.com/anthropics/anthropic-sdk-typescript/blob/main/src/client.ts';

const answers = (name: string, path: string): PresetRoute => ({
  name,
  source: SDK,
  match: { method: 'POST', path },
  retry: { safe: true },
});

export const anthropic: Preset = {
  about:
    'Long replies with pauses, 529 for overload, `x-should-retry`, spend limits; messages may be repeated.',
  source: ERRORS,
  sources: {
    timeouts: SDK,
    'retry.veto_headers': SDK,
    quota: LIMITS,
    'quota.wait': SDK,
    'quota.cost.reply': 'https://platform.claude.com/docs/en/build-with-claude/streaming',
    'quota.credential_headers': OVERVIEW,
    identity: OVERVIEW,
  },
  identity: { secret_names: ['x-api-key'] },
  timeouts: { attempt: '10m', idle: '10m', total: '10m' },
  retry: { not_processed: [529], veto_headers: ['x-should-retry'] },
  // Limits are per model. SDKs wait 10 minutes; limits of a minute justify a wait of two.
  quota: {
    scope: '/model',
    wait: '2m',
    // A stream states its input in `message_start`, and its output in each `message_delta`, as a sum so far.
    cost: { reply: [['/usage/input_tokens', '/message/usage/input_tokens'], '/usage/output_tokens'] },
    credential_headers: ['x-api-key', 'authorization'],
    formats: ['requests', 'input-tokens', 'output-tokens'].map((bucket) => ({
      bucket,
      unit: bucket === 'requests' ? 'calls' : 'cost',
      limit: `anthropic-ratelimit-${bucket}-limit`,
      remaining: `anthropic-ratelimit-${bucket}-remaining`,
      reset: `anthropic-ratelimit-${bucket}-reset`,
      reset_as: 'date',
      continuous: true,
    })),
  },
  errors: {
    rules: [
      {
        name: 'enforced_spend_limit_reached',
        source: ERRORS,
        status: 429,
        body: { '/error/details/error_code': 'enforced_spend_limit_reached' },
        means: 'permanent',
        throttled: true,
      },
      {
        name: 'own_spend_limit_reached',
        source: ERRORS,
        status: 400,
        body: { '/error/message': 'You have reached your specified*API usage limits*' },
        means: 'permanent',
        throttled: true,
      },
      { name: 'rate_limit_error', source: LIMITS, status: 429, means: 'not_processed', throttled: true },
    ],
  },
  routes: [
    answers('messages', '/v1/messages'),
    answers('count-tokens', '/v1/messages/count_tokens'),
    answers('complete', '/v1/complete'),
  ],
};
