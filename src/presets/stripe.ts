import type { Preset } from './preset.ts';

const SDK = 'https://github.com/stripe/stripe-node/blob/master/src/RequestSender.ts';
const KEYS = 'https://docs.stripe.com/api/idempotent_requests';

/**
 * Stripe stores a 500 and sends it again for the same key, so POSTs are not repeated after a 500 (`KEYS`).
 *
 * Compared: retries, the veto header, keys, accounts and timeouts with its client.
 */
export const stripe: Preset = {
  hosts: ['api.stripe.com'],
  about:
    'An idempotency key for every POST, keys in use, lock timeouts, `stripe-should-retry`, the timeouts of its SDK.',
  source: 'https://docs.stripe.com/error-low-level',
  verified: '2026-11-30',
  sources: {
    timeouts: 'https://github.com/stripe/stripe-node/blob/master/src/stripe.core.ts',
    'retry.idempotency_key': KEYS,
    'retry.idempotency_header': KEYS,
    'retry.veto_headers': SDK,
    identity: 'https://docs.stripe.com/connect/authentication',
  },
  identity: { account_names: ['stripe-account', 'stripe-context'] },
  timeouts: { attempt: '80s', total: '2m' },
  retry: {
    idempotency_key: 'inject',
    idempotency_header: 'idempotency-key',
    veto_headers: ['stripe-should-retry'],
  },
  errors: {
    rules: [
      {
        name: 'lock_timeout',
        source: 'https://github.com/stripe/stripe-ruby/releases/tag/v5.1.0',
        status: 429,
        body: { '/error/code': 'lock_timeout' },
        means: 'retry',
      },
      {
        name: 'limit_of_one_endpoint',
        source: 'https://docs.stripe.com/rate-limits',
        status: 429,
        headers: { 'stripe-rate-limited-reason': ['endpoint-*', 'resource-specific'] },
        means: 'retry',
      },
      {
        name: 'rate_limited',
        source: 'https://docs.stripe.com/rate-limits',
        status: 429,
        throttled: true,
      },
      {
        name: 'idempotency_key_in_use',
        source: 'https://docs.stripe.com/error-codes',
        status: 409,
        body: { '/error/code': 'idempotency_key_in_use' },
        means: 'in_progress',
      },
    ],
  },
};
