import type { PresetExamples } from '../../support/preset-examples.ts';
import { EVENTS, failedResponses, UNPAID } from './openai.ts';

export const azureOpenai: PresetExamples = {
  hosts: ['my-resource.openai.azure.com'],
  replies: [
    ...UNPAID,
    ...failedResponses('POST /openai/v1/responses'),
    {
      status: 429,
      headers: { 'x-ms-retry-after-ms': '250' },
      body: { error: { code: '429' } },
      means: 'retry rate_limit_exceeded throttled 0.25s',
    },
    { call: 'POST /openai/deployments/gpt/chat/completions', status: 503, means: 'retry' },
    { status: 400, body: { error: { code: 'content_filter' } }, means: 'not_retryable' },
  ],
  requests: [
    { call: 'POST /openai/deployments/gpt/chat/completions', repeats: 'safe' },
    { call: 'POST /openai/deployments/gpt/completions', repeats: 'safe' },
    { call: 'POST /openai/deployments/gpt/embeddings', repeats: 'safe' },
    { call: 'POST /openai/v1/chat/completions', repeats: 'safe' },
    { call: 'POST /openai/v1/embeddings', repeats: 'safe' },
    { call: 'POST /openai/v1/responses', repeats: 'none' },
    { call: 'POST /openai/responses', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit-tokens': '-1',
        'x-ratelimit-remaining-tokens': '-1',
        'x-ratelimit-reset-tokens': '0',
        'x-ratelimit-limit-requests': '10',
        'x-ratelimit-remaining-requests': '9',
        'x-ratelimit-reset-requests': '7',
      },
      // -1 means unknown.
      readings: [{ bucket: 'requests', remaining: 9, limit: 10, resetMs: 7000 }],
    },
    {
      headers: {
        'x-ratelimit-limit-tokens': '1000',
        'x-ratelimit-remaining-tokens': '990',
        'x-ratelimit-reset-tokens': '2',
      },
      readings: [{ bucket: 'tokens', remaining: 990, limit: 1000, resetMs: 2000, unit: 'cost' }],
    },
  ],
  events: [
    ...EVENTS,
    {
      event: 'message',
      data: { error: { code: 'too_many_requests' } },
      means: '429 rate_limit_exceeded not_processed throttled',
    },
    { event: 'message', data: { error: { code: 'content_filter' } }, means: '400 refused permanent' },
    {
      event: 'message',
      data: { choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
      means: 'ignored',
    },
    {
      event: 'message',
      data: {
        id: 'c',
        choices: [{ index: 0, delta: { content: '"prompt_filter_results"' }, finish_reason: null }],
        error: null,
      },
      means: 'meaningful',
    },
    { event: 'message', data: '[DONE]', means: 'done' },
  ],
};
