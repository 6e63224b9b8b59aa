import type { EventExample, PresetExamples } from '../../support/preset-examples.ts';

const CHAT = 'POST /api/v1/chat/completions';

/** A chunk of a chat with an error of this type. */
const chunk = (type: string, code: number, means: string): EventExample => ({
  call: CHAT,
  event: 'message',
  data: { choices: [], error: { code, message: 'm', metadata: { error_type: type } } },
  means,
});

export const openrouter: PresetExamples = {
  hosts: ['openrouter.ai'],
  replies: [
    {
      status: 402,
      body: {
        error: { code: 402, message: 'Insufficient credits. Add more using https://openrouter.ai/credits' },
      },
      means: 'permanent insufficient_credits throttled',
    },
    {
      status: 402,
      headers: { 'retry-after': '3' },
      body: { error: { code: 402, message: 'm', metadata: { limit_source: 'openrouter_in_flight_budget' } } },
      means: 'retry in_flight_budget throttled 3s',
    },
    {
      status: 429,
      headers: { 'retry-after': '10' },
      body: { error: { code: 429, message: 'Rate limit exceeded' } },
      means: 'retry rate_limited throttled 10s',
    },
    {
      status: 503,
      headers: { 'retry-after': '2' },
      body: { error: { code: 503, message: 'm' } },
      means: 'retry no_provider 2s',
    },
    {
      status: 529,
      body: { error: { code: 529, message: 'Provider returned error' } },
      means: 'retry provider_overloaded',
    },
    { call: CHAT, status: 502, body: { error: { code: 502, message: 'm' } }, means: 'retry' },
    {
      call: CHAT,
      status: 200,
      body: { error: { code: 429, message: 'Rate limit exceeded' } },
      means: 'retry rate_limited_in_a_200 throttled',
    },
    { call: CHAT, status: 200, body: { error: { code: 502, message: 'm' } }, means: 'retry failed_in_a_200' },
    { call: CHAT, status: 200, body: { choices: [{ message: { content: 'a' } }] }, means: 'success' },
    {
      call: CHAT,
      status: 403,
      body: { error: { code: 403, message: 'flagged', metadata: { reasons: ['violence'] } } },
      means: 'not_retryable',
    },
  ],
  requests: [
    { call: CHAT, repeats: 'safe' },
    { call: 'POST /api/v1/messages', repeats: 'safe' },
    { call: 'POST /api/v1/embeddings', repeats: 'safe' },
    { call: 'POST /api/v1/rerank', repeats: 'safe' },
    { call: 'POST /api/v1/keys', repeats: 'none' },
  ],
  events: [
    {
      call: CHAT,
      event: 'message',
      data: {
        object: 'chat.completion.chunk',
        choices: [{ index: 0, delta: { content: 'Hello' }, finish_reason: null }],
      },
      means: 'meaningful',
    },
    chunk('rate_limit_exceeded', 429, '429 rate_limit_exceeded not_processed throttled'),
    chunk('payment_required', 402, '402 unpaid permanent throttled'),
    chunk('provider_overloaded', 529, '529 overloaded not_processed'),
    chunk('provider_unavailable', 502, '502 unavailable'),
    chunk('timeout', 504, '504 timeout'),
    chunk('content_policy_violation', 403, '400 refused permanent'),
    chunk('unmapped', 500, '502 error'),
    {
      call: 'POST /api/v1/messages',
      event: 'error',
      data: {
        type: 'error',
        error: { error_type: 'provider_overloaded', message: 'Overloaded', type: 'overloaded_error' },
      },
      means: '529 overloaded not_processed',
    },
    { call: 'POST /api/v1/messages', event: 'message_stop', data: { type: 'message_stop' }, means: 'done' },
    { call: CHAT, event: 'message', data: '[DONE]', means: 'done' },
  ],
};
