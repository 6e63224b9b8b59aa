import type { Preset } from './preset.ts';

const KEYS = 'https://docs.adyen.com/development-resources/api-idempotency';

/** Keys have at most 64 characters, and are valid for at least 31 days. */
export const adyen: Preset = {
  hosts: ['*.adyen.com', '*.adyenpayments.com'],
  about: 'An idempotency key for every POST, so that it may be repeated.',
  source: KEYS,
  verified: '2026-11-30',
  retry: { idempotency_key: 'inject', idempotency_header: 'idempotency-key' },
};
