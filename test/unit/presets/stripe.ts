import type { PresetExamples } from '../../support/preset-examples.ts';

export const stripe: PresetExamples = {
  hosts: ['api.stripe.com'],
  replies: [
    {
      status: 429,
      body: { error: { code: 'lock_timeout', type: 'invalid_request_error' } },
      means: 'retry lock_timeout',
    },
    {
      status: 429,
      headers: { 'stripe-rate-limited-reason': 'endpoint-rate' },
      body: { error: { code: 'rate_limit' } },
      means: 'retry limit_of_one_endpoint',
    },
    { status: 429, body: { error: { code: 'rate_limit' } }, means: 'retry rate_limited throttled' },
    {
      status: 409,
      body: { error: { code: 'idempotency_key_in_use' } },
      means: 'retry idempotency_key_in_use',
    },
    { status: 409, body: { error: { code: 'resource_already_exists' } }, means: 'not_retryable' },
    { status: 402, body: { error: { code: 'card_declined' } }, means: 'not_retryable' },
    { status: 402, headers: { 'stripe-should-retry': 'true' }, means: 'retry' },
    { status: 503, headers: { 'stripe-should-retry': 'false' }, means: 'veto' },
    { status: 500, means: 'not_retryable' },
  ],
  requests: [{ call: 'POST /v1/charges', repeats: 'inject idempotency-key' }],
};
