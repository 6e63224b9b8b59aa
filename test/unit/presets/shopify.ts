import type { PresetExamples } from '../../support/preset-examples.ts';

export const shopify: PresetExamples = {
  hosts: ['my-store.myshopify.com'],
  replies: [
    { status: 429, headers: { 'retry-after': '2.0' }, means: 'retry call_limit throttled 2s' },
    {
      call: 'POST /admin/api/2026-01/graphql.json',
      status: 200,
      body: {
        errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }],
        extensions: {
          cost: {
            requestedQueryCost: 752,
            actualQueryCost: null,
            throttleStatus: { maximumAvailable: 1000, currentlyAvailable: 652, restoreRate: 50 },
          },
        },
      },
      means: 'retry throttled throttled 2s',
    },
    {
      call: 'POST /admin/api/2026-01/graphql.json',
      status: 200,
      body: { data: {}, errors: [{ extensions: { code: 'ACCESS_DENIED' } }] },
      means: 'success',
    },
  ],
  requests: [{ call: 'POST /admin/api/2026-01/graphql.json', repeats: 'none' }],
  quotas: [
    {
      headers: { 'x-shopify-shop-api-call-limit': '32/40' },
      readings: [{ remaining: 8, limit: 40, continuous: true, windowMs: 20000 }],
    },
  ],
};
