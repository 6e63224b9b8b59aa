import type { PresetExamples } from '../../support/preset-examples.ts';

export const notion: PresetExamples = {
  hosts: ['api.notion.com'],
  replies: [
    {
      status: 429,
      headers: { 'retry-after': '60' },
      body: {
        object: 'error',
        status: 429,
        code: 'rate_limited',
        additional_data: { rate_limit_reason: 'connection' },
      },
      means: 'retry rate_limited throttled 60s',
    },
    {
      status: 529,
      headers: { 'retry-after': '5' },
      body: { object: 'error', status: 529, code: 'service_overload' },
      means: 'retry 5s',
    },
    {
      call: 'PATCH /v1/pages/p',
      status: 500,
      body: { code: 'internal_server_error' },
      means: 'not_retryable',
    },
    {
      call: 'PATCH /v1/pages/p',
      status: 503,
      body: { code: 'service_unavailable' },
      means: 'not_idempotent',
    },
    { call: 'GET /v1/pages/p', status: 500, means: 'retry' },
    { call: 'DELETE /v1/blocks/b', status: 503, means: 'retry' },
    { status: 400, body: { code: 'validation_error' }, means: 'not_retryable' },
  ],
  requests: [
    { call: 'POST /v1/search', repeats: 'safe' },
    { call: 'POST /v1/data_sources/d/query', repeats: 'safe' },
    { call: 'POST /v1/pages', repeats: 'none' },
  ],
};
