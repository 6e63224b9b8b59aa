import type { PresetExamples } from '../../support/preset-examples.ts';

export const google: PresetExamples = {
  hosts: ['generativelanguage.googleapis.com', 'www.googleapis.com'],
  replies: [
    {
      call: 'GET /x',
      status: 429,
      body: {
        error: {
          code: 429,
          status: 'RESOURCE_EXHAUSTED',
          details: [
            { '@type': 'type.googleapis.com/google.rpc.QuotaFailure' },
            { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '37s' },
          ],
        },
      },
      means: 'retry resource_exhausted throttled 37s',
    },
    {
      status: 429,
      body: { error: { status: 'RESOURCE_EXHAUSTED' } },
      means: 'not_idempotent resource_exhausted throttled',
    },
    {
      call: 'GET /x',
      status: 503,
      body: { error: { status: 'UNAVAILABLE', details: [{ retryDelay: '1.5s' }] } },
      means: 'retry unavailable 1.5s',
    },
    {
      call: 'GET /x',
      status: 403,
      body: { error: { errors: [{ reason: 'userRateLimitExceeded' }] } },
      means: 'retry rate_limited throttled',
    },
    {
      call: 'GET /x',
      status: 403,
      body: { error: { errors: [{ reason: 'dailyLimitExceeded' }] } },
      means: 'permanent quota_of_the_day throttled',
    },
    {
      call: 'GET /x',
      status: 403,
      body: { error: { errors: [{ reason: 'insufficientPermissions' }] } },
      means: 'not_retryable',
    },
    { call: 'POST /v1beta/models/gemini-2.5-flash:generateContent', status: 503, means: 'retry unavailable' },
  ],
  requests: [
    { call: 'POST /v1beta/models/gemini-2.5-flash:generateContent', repeats: 'safe' },
    { call: 'POST /v1beta/models/gemini-2.5-flash:streamGenerateContent', repeats: 'safe' },
    { call: 'POST /v1beta/models/gemini-2.5-flash:embedContent', repeats: 'safe' },
    { call: 'POST /v1/projects/p/locations/l/publishers/google/models/m:generateContent', repeats: 'safe' },
    {
      call: 'POST /v1/projects/p/locations/l/publishers/google/models/m:streamGenerateContent',
      repeats: 'safe',
    },
    { call: 'POST /upload/drive/v3/files', repeats: 'none' },
  ],
  events: [
    {
      event: 'message',
      data: { candidates: [{ content: { parts: [{ text: 'a' }] } }] },
      means: 'meaningful',
    },
    {
      event: 'message',
      data: { candidates: [{ content: { parts: [{ text: 'a' }] }, finishReason: 'STOP' }] },
      means: 'done',
    },
    { event: 'message', data: { promptFeedback: { blockReason: 'SAFETY' } }, means: 'done' },
    {
      event: 'message',
      data: {
        error: {
          code: 429,
          message: 'm',
          status: 'RESOURCE_EXHAUSTED',
          details: [{ '@type': 'RetryInfo', retryDelay: '7s' }],
        },
      },
      means: '429 resource_exhausted not_processed throttled 7s',
    },
    {
      event: 'message',
      data: { error: { code: 503, message: 'm', status: 'UNAVAILABLE' } },
      means: '503 unavailable',
    },
    {
      event: 'message',
      data: { error: { code: 500, message: 'm', status: 'INTERNAL' } },
      means: '500 internal',
    },
    {
      event: 'message',
      data: { error: { code: 504, message: 'm', status: 'DEADLINE_EXCEEDED' } },
      means: '504 deadline_exceeded',
    },
    {
      event: 'message',
      data: { error: { code: 400, message: 'm', status: 'INVALID_ARGUMENT' } },
      means: '400 refused permanent',
    },
    {
      event: 'message',
      data: { error: { code: 499, message: 'm', status: 'CANCELLED' } },
      means: '502 error',
    },
  ],
};
