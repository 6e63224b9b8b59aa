import type { PresetExamples } from '../../support/preset-examples.ts';

export const cohere: PresetExamples = {
  hosts: ['api.cohere.com'],
  replies: [
    { status: 429, means: 'retry rate_limited throttled' },
    { call: 'POST /v2/chat', status: 500, means: 'retry' },
    { call: 'POST /v1/datasets', status: 500, means: 'not_retryable' },
  ],
  requests: [
    { call: 'POST /v2/chat', repeats: 'safe' },
    { call: 'POST /v2/embed', repeats: 'safe' },
    { call: 'POST /v2/rerank', repeats: 'safe' },
    { call: 'POST /v1/chat', repeats: 'safe' },
    { call: 'POST /v1/embed', repeats: 'safe' },
    { call: 'POST /v1/rerank', repeats: 'safe' },
    { call: 'POST /v1/classify', repeats: 'safe' },
    { call: 'POST /v1/tokenize', repeats: 'safe' },
    { call: 'POST /v1/detokenize', repeats: 'safe' },
    { call: 'POST /v1/datasets', repeats: 'none' },
  ],
  events: [
    {
      call: 'POST /v2/chat',
      event: 'message-start',
      data: { type: 'message-start', id: 'm' },
      means: 'ignored',
    },
    {
      call: 'POST /v2/chat',
      event: 'content-delta',
      data: { type: 'content-delta', delta: { message: { content: { text: 'a' } } } },
      means: 'meaningful',
    },
    {
      call: 'POST /v2/chat',
      event: 'message-end',
      data: { type: 'message-end', delta: { finish_reason: 'COMPLETE' } },
      means: 'done',
    },
    {
      call: 'POST /v2/chat',
      event: 'message-end',
      data: { type: 'message-end', delta: { finish_reason: 'ERROR' } },
      means: '500 error',
    },
    {
      call: 'POST /v2/chat',
      event: 'message-end',
      data: { type: 'message-end', delta: { finish_reason: 'TIMEOUT' } },
      means: '504 timeout',
    },
    { call: 'POST /v2/chat', event: 'message', data: '[DONE]', means: 'done' },
  ],
};
