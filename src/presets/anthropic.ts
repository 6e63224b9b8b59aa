import { type Preset, type PresetStreamError, safePosts } from './preset.ts';

const ERRORS = 'https://platform.claude.com/docs/en/api/errors';
const LIMITS = 'https://platform.claude.com/docs/en/api/rate-limits';
const STREAMS = 'https://platform.claude.com/docs/en/build-with-claude/streaming';
const OVERVIEW = 'https://platform.claude.com/docs/en/api/overview';
/** Long requests with thinking: minutes without a token are normal. */
const LONG_REQUESTS = 'https://platform.claude.com/docs/en/api/errors#long-requests';
const SDK = 'https://github.com/anthropics/anthropic-sdk-typescript/blob/main/src/client.ts';

const answers = safePosts(SDK);

/** The event `error` with this type, unless `more` says otherwise. */
function errorEvent(name: string, status: number, more: Partial<PresetStreamError> = {}): PresetStreamError {
  return { name, source: ERRORS, event: 'error', body: { '/error/type': name }, status, ...more };
}

/** Compared: timeouts, the veto header, waits, kinds of errors and events of streams with its client. */
export const anthropic: Preset = {
  hosts: ['api.anthropic.com'],
  about:
    'Long replies with pauses, 529 for overload, `x-should-retry`, spend limits; messages may be repeated. Errors within a stream.',
  source: ERRORS,
  verified: '2026-11-30',
  sources: {
    timeouts: SDK,
    'retry.veto_headers': SDK,
    quota: LIMITS,
    'quota.wait': SDK,
    'quota.cost.reply': 'https://platform.claude.com/docs/en/build-with-claude/streaming',
    'quota.credential_headers': OVERVIEW,
    identity: OVERVIEW,
    stream: STREAMS,
    'stream.first_event': LONG_REQUESTS,
    'stream.event_gap': LONG_REQUESTS,
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
    // Limits are token buckets, and a reset is the time at which one is full: `continuous`.
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
      {
        name: 'billing_error',
        source: ERRORS,
        body: { '/error/type': 'billing_error' },
        means: 'permanent',
        throttled: true,
      },
      { name: 'rate_limit_error', source: LIMITS, status: 429, means: 'not_processed', throttled: true },
    ],
  },
  stream: {
    first_event: '5m',
    event_gap: '5m',
    // `message_start` comes before the model has begun to answer.
    ignore: ['ping', 'message_start'],
    error: [
      errorEvent('enforced_spend_limit_reached', 429, {
        body: { '/error/details/error_code': '*_spend_limit_reached' },
        means: 'permanent',
        throttled: true,
      }),
      errorEvent('overloaded_error', 529, { means: 'not_processed' }),
      errorEvent('rate_limit_error', 429, { source: LIMITS, means: 'not_processed', throttled: true }),
      errorEvent('api_error', 500),
      errorEvent('timeout_error', 504),
      errorEvent('refused', 400, {
        body: {
          '/error/type': [
            'invalid_request_error',
            'authentication_error',
            'billing_error',
            'permission_error',
            'not_found_error',
            'request_too_large',
          ],
        },
        means: 'permanent',
      }),
      { name: 'error', source: STREAMS, event: 'error' },
    ],
    done: [
      { source: STREAMS, event: 'message_stop' },
      {
        source: 'https://platform.claude.com/docs/en/api/complete',
        event: 'completion',
        body: { '/stop_reason': '*' },
      },
    ],
  },
  routes: [
    answers('messages', '/v1/messages'),
    answers('count-tokens', '/v1/messages/count_tokens'),
    answers('complete', '/v1/complete'),
  ],
};
