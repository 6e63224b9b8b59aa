import type { PresetExamples } from '../../support/preset-examples.ts';

export const square: PresetExamples = {
  hosts: ['connect.squareup.com', 'connect.squareupsandbox.com'],
  replies: [
    {
      call: 'POST /v2/payments',
      status: 429,
      body: { errors: [{ category: 'RATE_LIMIT_ERROR', code: 'RATE_LIMITED' }] },
      means: 'retry rate_limited throttled',
    },
    { call: 'POST /v2/payments', status: 429, means: 'retry too_many_requests throttled' },
    { call: 'POST /v2/payments', status: 503, means: 'not_idempotent' },
    {
      call: 'POST /v2/payments',
      status: 400,
      body: { errors: [{ code: 'IDEMPOTENCY_KEY_REUSED' }] },
      means: 'not_retryable',
    },
  ],
  requests: [
    { call: 'POST /v2/orders/search', repeats: 'safe' },
    { call: 'POST /v2/loyalty/accounts/search', repeats: 'safe' },
    { call: 'POST /v2/catalog/search-catalog-items', repeats: 'safe' },
    { call: 'POST /v2/orders/batch-retrieve', repeats: 'safe' },
    { call: 'POST /v2/inventory/counts/batch-retrieve', repeats: 'safe' },
    { call: 'POST /v2/customers/bulk-retrieve', repeats: 'safe' },
    { call: 'POST /v2/bookings/team-member-booking-profiles/bulk-retrieve', repeats: 'safe' },
    { call: 'POST /v2/payments', repeats: 'none' },
  ],
};
