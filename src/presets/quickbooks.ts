import { type Preset, tooManyRequests } from './preset.ts';

const LIMITS = 'https://developer.intuit.com/app/developer/qbo/docs/learn/limits-and-throttles';

/** A call that takes longer than 120 s is ended by the API. */
export const quickbooks: Preset = {
  hosts: ['quickbooks.api.intuit.com', 'sandbox-quickbooks.api.intuit.com'],
  about: 'A call ends after two minutes; a 429 was never processed, and asks for a minute.',
  source: LIMITS,
  verified: '2026-11-30',
  timeouts: { attempt: '125s' },
  quota: { wait: '65s' },
  errors: { rules: [tooManyRequests(LIMITS, '60s')] },
};
