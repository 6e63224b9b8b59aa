import type { Preset, PresetRoute } from './preset.ts';

const KEYS = 'https://developer.paypal.com/reference/guidelines/idempotency/';
const SDK = 'https://github.com/paypal/PayPal-TypeScript-Server-SDK/tree/main/src/controllers';

/** Not every endpoint takes a key: these do. */
const keyed = (name: string, path: string): PresetRoute => ({
  name,
  source: SDK,
  match: { method: 'POST', path },
  retry: { idempotency_key: 'inject' },
});

export const paypal: Preset = {
  hosts: ['api-m.paypal.com', 'api-m.sandbox.paypal.com'],
  about:
    'A `PayPal-Request-Id` for orders, captures, refunds, subscriptions and the vault, so that these POSTs may be repeated.',
  source: KEYS,
  verified: '2026-11-30',
  retry: { idempotency_header: 'paypal-request-id' },
  routes: [
    keyed('create-order', '/v2/checkout/orders'),
    keyed('authorize-order', '/v2/checkout/orders/*/authorize'),
    keyed('capture-order', '/v2/checkout/orders/*/capture'),
    keyed('capture-authorization', '/v2/payments/authorizations/*/capture'),
    keyed('reauthorize', '/v2/payments/authorizations/*/reauthorize'),
    keyed('void', '/v2/payments/authorizations/*/void'),
    keyed('refund', '/v2/payments/captures/*/refund'),
    keyed('create-plan', '/v1/billing/plans'),
    keyed('create-subscription', '/v1/billing/subscriptions'),
    keyed('capture-subscription', '/v1/billing/subscriptions/*/capture'),
    keyed('create-payment-token', '/v3/vault/payment-tokens'),
    keyed('create-setup-token', '/v3/vault/setup-tokens'),
  ],
};
