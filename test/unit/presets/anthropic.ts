import type { PresetExamples } from '../../support/preset-examples.ts';

export const anthropic: PresetExamples = {
  hosts: ['api.anthropic.com'],
  replies: [
    {
      status: 402,
      body: { type: 'error', error: { type: 'billing_error', message: 'm' } },
      means: 'permanent billing_error throttled',
    },
    { status: 529, body: { type: 'error', error: { type: 'overloaded_error' } }, means: 'retry' },
    {
      status: 429,
      headers: { 'retry-after': '7' },
      body: { error: { type: 'rate_limit_error' } },
      means: 'retry rate_limit_error throttled 7s',
    },
    {
      status: 429,
      body: { error: { type: 'rate_limit_error', details: { error_code: 'enforced_spend_limit_reached' } } },
      means: 'permanent enforced_spend_limit_reached throttled',
    },
    {
      status: 400,
      body: {
        error: {
          type: 'invalid_request_error',
          message: 'You have reached your specified API usage limits. You will regain access on 2026-02-01.',
        },
      },
      means: 'permanent own_spend_limit_reached throttled',
    },
    {
      status: 400,
      body: { error: { type: 'invalid_request_error', message: 'max_tokens: required' } },
      means: 'not_retryable',
    },
    { call: 'POST /v1/messages', status: 500, means: 'retry' },
    { call: 'POST /v1/messages/batches', status: 500, means: 'not_retryable' },
  ],
  requests: [
    { call: 'POST /v1/messages', repeats: 'safe' },
    { call: 'POST /v1/messages/count_tokens', repeats: 'safe' },
    { call: 'POST /v1/complete', repeats: 'safe' },
    { call: 'POST /v1/messages/batches', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'anthropic-ratelimit-requests-limit': '50',
        'anthropic-ratelimit-requests-remaining': '49',
        'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:02Z',
        'anthropic-ratelimit-input-tokens-limit': '30000',
        'anthropic-ratelimit-input-tokens-remaining': '0',
        'anthropic-ratelimit-input-tokens-reset': '2026-01-01T00:01:00Z',
        'anthropic-ratelimit-output-tokens-limit': '8000',
        'anthropic-ratelimit-output-tokens-remaining': '7500',
        'anthropic-ratelimit-output-tokens-reset': '2026-01-01T00:00:04Z',
      },
      readings: [
        { bucket: 'requests', remaining: 49, limit: 50, resetMs: 2000 },
        { bucket: 'input-tokens', remaining: 0, limit: 30000, resetMs: 60000, unit: 'cost' },
        { bucket: 'output-tokens', remaining: 7500, limit: 8000, resetMs: 4000, unit: 'cost' },
      ],
    },
  ],
  events: [
    { event: 'ping', data: { type: 'ping' }, means: 'ignored' },
    { event: 'message_start', data: { type: 'message_start' }, means: 'ignored' },
    { event: 'content_block_start', data: { content_block: { type: 'thinking' } }, means: 'meaningful' },
    {
      event: 'content_block_delta',
      data: { delta: { text: '{"type":"error","error":{}}' } },
      means: 'meaningful',
    },
    { event: 'message_stop', data: { type: 'message_stop' }, means: 'done' },
    { event: 'completion', data: { completion: 'a', stop_reason: null }, means: 'meaningful' },
    { event: 'completion', data: { completion: '', stop_reason: 'stop_sequence' }, means: 'done' },
    {
      event: 'error',
      data: { type: 'error', error: { type: 'overloaded_error', message: 'm' } },
      means: '529 overloaded_error not_processed',
    },
    {
      event: 'error',
      data: { type: 'error', error: { type: 'rate_limit_error', message: 'm' } },
      means: '429 rate_limit_error not_processed throttled',
    },
    {
      event: 'error',
      data: {
        type: 'error',
        error: {
          type: 'rate_limit_error',
          message: 'm',
          details: { error_code: 'enforced_spend_limit_reached' },
        },
      },
      means: '429 enforced_spend_limit_reached permanent throttled',
    },
    {
      event: 'error',
      data: { type: 'error', error: { type: 'api_error', message: 'm' } },
      means: '500 api_error',
    },
    {
      event: 'error',
      data: { type: 'error', error: { type: 'timeout_error', message: 'm' } },
      means: '504 timeout_error',
    },
    {
      event: 'error',
      data: { type: 'error', error: { type: 'invalid_request_error', message: 'm' } },
      means: '400 refused permanent',
    },
    {
      event: 'error',
      data: { type: 'error', error: { type: 'a_new_error', message: 'm' } },
      means: '502 error',
    },
  ],
};
