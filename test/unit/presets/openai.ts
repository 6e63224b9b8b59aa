import type { EventExample, PresetExamples, ReplyExample } from '../../support/preset-examples.ts';

/** https://platform.openai.com/docs/guides/error-codes */
export const UNPAID: readonly ReplyExample[] = [
  {
    status: 429,
    body: { error: { type: 'insufficient_quota', code: 'insufficient_quota' } },
    means: 'permanent insufficient_quota throttled',
  },
  {
    status: 429,
    body: { error: { type: 'x', code: 'project_spend_limit_exceeded' } },
    means: 'permanent quota_or_spend_limit throttled',
  },
];

/** A response can fail with status 200. */
export const failedResponses = (call: string): readonly ReplyExample[] =>
  [
    ['insufficient_quota', 'permanent response_unpaid throttled'],
    ['rate_limit_exceeded', 'retry response_rate_limited throttled'],
    ['server_is_overloaded', 'retry response_overloaded'],
    ['server_error', 'not_idempotent response_server_error'],
    ['invalid_prompt', 'success'],
    [undefined, 'success'],
  ].map(([code, means = '']) => ({
    call,
    status: 200,
    body: {
      object: 'response',
      status: code === undefined ? 'completed' : 'failed',
      error: code === undefined ? null : { code },
    },
    means,
  }));

/** Events of chats and of responses. */
export const EVENTS: readonly EventExample[] = [
  {
    event: 'message',
    data: {
      id: 'c',
      choices: [{ index: 0, delta: { content: 'an "error"' }, finish_reason: null }],
      error: null,
    },
    means: 'meaningful',
  },
  { event: 'message', data: '[DONE]', means: 'done' },
  { event: 'message', data: { error: { type: 'server_error', code: null } }, means: '500 server_error' },
  { event: 'error', data: { error: { type: 'server_error', code: null } }, means: '500 server_error' },
  {
    event: 'message',
    data: { error: { type: 'tokens', code: 'rate_limit_exceeded' } },
    means: '429 rate_limit_exceeded not_processed throttled',
  },
  {
    event: 'message',
    data: { error: { type: 'insufficient_quota', code: 'insufficient_quota' } },
    means: '429 unpaid permanent throttled',
  },
  {
    event: 'message',
    data: { error: { type: 'invalid_request_error', code: null } },
    means: '400 refused permanent',
  },
  { event: 'message', data: { error: { code: 502, message: 'provider' } }, means: '502 error' },
  {
    event: 'response.created',
    data: { type: 'response.created', response: { error: null } },
    means: 'ignored',
  },
  { event: 'response.in_progress', data: { response: { error: null } }, means: 'ignored' },
  { event: 'keepalive', data: { type: 'keepalive' }, means: 'ignored' },
  { event: 'response.output_item.added', data: { item: { type: 'reasoning' } }, means: 'meaningful' },
  { event: 'response.completed', data: { response: { error: null } }, means: 'done' },
  { event: 'response.incomplete', data: { response: { error: null } }, means: 'done' },
  {
    event: 'response.failed',
    data: {
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_is_overloaded' } },
    },
    means: '503 overloaded not_processed',
  },
  {
    event: 'response.failed',
    data: { type: 'response.failed', response: { status: 'failed', error: { code: 'slow_down' } } },
    means: '503 overloaded not_processed',
  },
  {
    event: 'response.failed',
    data: {
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'rate_limit_exceeded' } },
    },
    means: '429 rate_limit_exceeded not_processed throttled',
  },
  {
    event: 'response.failed',
    data: { type: 'response.failed', response: { status: 'failed', error: { code: 'server_error' } } },
    means: '500 server_error',
  },
  {
    event: 'response.failed',
    data: {
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'context_length_exceeded' } },
    },
    means: '400 refused permanent',
  },
  {
    event: 'response.failed',
    data: { type: 'response.failed', response: { status: 'failed', error: { code: 'invalid_prompt' } } },
    means: '400 refused permanent',
  },
  {
    event: 'response.failed',
    data: {
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'vector_store_timeout' } },
    },
    means: '502 error',
  },
  {
    event: 'error',
    data: { type: 'error', code: 'server_error', message: 'm' },
    means: '500 server_error',
  },
  { event: 'error', data: { type: 'error', code: null, message: 'm' }, means: '502 error' },
];

export const openai: PresetExamples = {
  hosts: ['api.openai.com'],
  replies: [
    ...UNPAID,
    {
      status: 429,
      headers: { 'retry-after-ms': '1500', 'retry-after': '2' },
      body: { error: { type: 'tokens', code: 'rate_limit_exceeded' } },
      means: 'retry rate_limit_exceeded throttled 1.5s',
    },
    { call: 'POST /v1/chat/completions', status: 500, means: 'retry' },
    { call: 'POST /v1/responses', status: 500, means: 'not_retryable' },
    { call: 'POST /v1/responses', status: 503, means: 'not_idempotent' },
    { call: 'POST /v1/embeddings', status: 503, headers: { 'x-should-retry': 'false' }, means: 'veto' },
    { status: 400, body: { error: { code: 'context_length_exceeded' } }, means: 'not_retryable' },
    ...failedResponses('POST /v1/responses'),
    {
      call: 'GET /v1/responses/r1',
      status: 200,
      body: { object: 'response', status: 'failed', error: { code: 'server_is_overloaded' } },
      means: 'success',
    },
  ],
  requests: [
    { call: 'POST /v1/chat/completions', repeats: 'safe' },
    { call: 'POST /v1/completions', repeats: 'safe' },
    { call: 'POST /v1/embeddings', repeats: 'safe' },
    { call: 'POST /v1/moderations', repeats: 'safe' },
    { call: 'POST /v1/responses', repeats: 'none' },
    { call: 'POST /v1/files', repeats: 'none' },
  ],
  quotas: [
    {
      headers: {
        'x-ratelimit-limit-requests': '60',
        'x-ratelimit-remaining-requests': '59',
        'x-ratelimit-reset-requests': '1s',
        'x-ratelimit-limit-tokens': '150000',
        'x-ratelimit-remaining-tokens': '149984',
        'x-ratelimit-reset-tokens': '6m0s',
      },
      readings: [
        { bucket: 'requests', remaining: 59, limit: 60, resetMs: 1000 },
        { bucket: 'tokens', remaining: 149984, limit: 150000, resetMs: 360000, unit: 'cost' },
      ],
    },
  ],
  events: EVENTS,
};
