import type { PresetExamples } from '../../support/preset-examples.ts';

export const paypal: PresetExamples = {
  hosts: ['api-m.paypal.com', 'api-m.sandbox.paypal.com'],
  replies: [
    { call: 'POST /v2/checkout/orders', status: 503, means: 'retry' },
    { call: 'POST /v2/checkout/orders', status: 429, means: 'retry' },
    { call: 'POST /v2/checkout/orders/O/track', status: 503, means: 'not_idempotent' },
    {
      call: 'POST /v2/checkout/orders',
      status: 422,
      body: { name: 'UNPROCESSABLE_ENTITY' },
      means: 'not_retryable',
    },
  ],
  requests: [
    ...[
      '/v2/checkout/orders',
      '/v2/checkout/orders/O/authorize',
      '/v2/checkout/orders/O/capture',
      '/v2/payments/authorizations/A/capture',
      '/v2/payments/authorizations/A/reauthorize',
      '/v2/payments/authorizations/A/void',
      '/v2/payments/captures/C/refund',
      '/v1/billing/plans',
      '/v1/billing/subscriptions',
      '/v1/billing/subscriptions/S/capture',
      '/v3/vault/payment-tokens',
      '/v3/vault/setup-tokens',
    ].map((path) => ({ call: `POST ${path}`, repeats: 'inject paypal-request-id' })),
    { call: 'POST /v2/checkout/orders/O/track', repeats: 'none' },
    { call: 'POST /v1/billing/subscriptions/S/cancel', repeats: 'none' },
  ],
};
