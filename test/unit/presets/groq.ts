import type { PresetExamples } from '../../support/preset-examples.ts';

export const groq: PresetExamples = {
  hosts: ['api.groq.com'],
  replies: [
    {
      status: 429,
      headers: { 'retry-after': '6' },
      body: {
        error: {
          message: 'Rate limit reached for model `gemma2-9b-it`',
          type: 'tokens',
          code: 'rate_limit_exceeded',
        },
      },
      means: 'retry rate_limited throttled 6s',
    },
    { status: 498, body: { error: { code: 'capacity_exceeded' } }, means: 'retry' },
    { call: 'POST /openai/v1/chat/completions', status: 503, means: 'retry' },
    {
      call: 'POST /openai/v1/chat/completions',
      status: 503,
      headers: { 'x-should-retry': 'false' },
      means: 'veto',
    },
    { call: 'POST /openai/v1/batches', status: 503, means: 'not_idempotent' },
    { status: 413, means: 'not_retryable' },
  ],
  requests: [
    { call: 'POST /openai/v1/chat/completions', repeats: 'safe' },
    { call: 'POST /openai/v1/embeddings', repeats: 'safe' },
    { call: 'POST /openai/v1/batches', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit-requests': '14400',
        'x-ratelimit-limit-tokens': '18000',
        'x-ratelimit-remaining-requests': '14370',
        'x-ratelimit-remaining-tokens': '17997',
        'x-ratelimit-reset-requests': '2m59.56s',
        'x-ratelimit-reset-tokens': '7.66s',
      },
      readings: [
        { bucket: 'requests', remaining: 14_370, limit: 14_400, resetMs: 179_560 },
        { bucket: 'tokens', unit: 'cost', remaining: 17_997, limit: 18_000, resetMs: 7660 },
      ],
    },
  ],
  events: [
    {
      call: 'POST /openai/v1/chat/completions',
      event: 'message',
      data: { choices: [{ delta: { content: 'a' } }] },
      means: 'meaningful',
    },
    {
      call: 'POST /openai/v1/chat/completions',
      event: 'message',
      data: { error: { message: 'm', type: 'internal_server_error' } },
      means: '502 error',
    },
    { call: 'POST /openai/v1/chat/completions', event: 'message', data: '[DONE]', means: 'done' },
  ],
};
