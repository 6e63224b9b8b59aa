import type { PresetExamples } from '../../support/preset-examples.ts';

export const mistral: PresetExamples = {
  hosts: ['api.mistral.ai'],
  replies: [
    {
      status: 429,
      body: { object: 'error', message: 'Requests rate limit exceeded', type: 'rate_limit_error' },
      means: 'retry rate_limited throttled',
    },
    {
      call: 'POST /v1/chat/completions',
      status: 500,
      body: { object: 'error', type: 'server_error' },
      means: 'retry',
    },
    { call: 'POST /v1/chat/completions', status: 504, means: 'retry' },
    { call: 'POST /v1/agents', status: 503, means: 'not_idempotent' },
    {
      call: 'POST /v1/chat/completions',
      status: 400,
      body: { object: 'error', type: 'invalid_request_error', param: 'model', code: 'unknown_model' },
      means: 'not_retryable',
    },
  ],
  requests: [
    { call: 'POST /v1/chat/completions', repeats: 'safe' },
    { call: 'POST /v1/fim/completions', repeats: 'safe' },
    { call: 'POST /v1/embeddings', repeats: 'safe' },
    { call: 'POST /v1/moderations', repeats: 'safe' },
    { call: 'POST /v1/chat/moderations', repeats: 'safe' },
    { call: 'POST /v1/classifications', repeats: 'safe' },
    { call: 'POST /v1/chat/classifications', repeats: 'safe' },
    { call: 'POST /v1/ocr', repeats: 'safe' },
    { call: 'POST /v1/conversations', repeats: 'none' },
  ],
  events: [
    {
      call: 'POST /v1/chat/completions',
      event: 'message',
      data: { id: 'c', choices: [{ delta: { content: 'a' } }] },
      means: 'meaningful',
    },
    { call: 'POST /v1/chat/completions', event: 'message', data: '[DONE]', means: 'done' },
    { call: 'POST /v1/fim/completions', event: 'message', data: '[DONE]', means: 'done' },
  ],
};
