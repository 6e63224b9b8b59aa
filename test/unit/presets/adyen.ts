import type { PresetExamples } from '../../support/preset-examples.ts';

export const adyen: PresetExamples = {
  hosts: ['checkout-test.adyen.com', '1797a841fbb37ca7-AdyenDemo-checkout-live.adyenpayments.com'],
  replies: [
    { call: 'POST /v72/payments', status: 503, means: 'retry' },
    { call: 'POST /v72/payments', status: 500, means: 'not_retryable' },
    {
      call: 'POST /v72/payments',
      status: 422,
      body: { status: 422, errorCode: '14_006' },
      means: 'not_retryable',
    },
  ],
  requests: [{ call: 'POST /v72/payments', repeats: 'inject idempotency-key' }],
};
