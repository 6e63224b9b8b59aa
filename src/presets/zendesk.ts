import type { Preset, PresetRoute } from './preset.ts';
import { tooManyRequests } from './preset.ts';

const LIMITS = 'https://developer.zendesk.com/api-reference/introduction/rate-limits/';
const REFUSED =
  'https://developer.zendesk.com/documentation/api-basics/best-practices/best-practices-for-avoiding-rate-limiting/';

const ticket = (name: string, path: string): PresetRoute => ({
  name,
  source: 'https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency',
  match: { method: 'POST', path },
  retry: { idempotency_key: 'inject', idempotency_header: 'idempotency-key' },
});

/** Limits are per account and minute. Some endpoints have their own. */
export const zendesk: Preset = {
  hosts: ['*.zendesk.com'],
  url: 'https://{subdomain}.zendesk.com',
  about:
    'A 429 was never processed; limits of a minute in `ratelimit-…`; an idempotency key for new tickets.',
  source: LIMITS,
  verified: '2026-11-30',
  quota: { wait: '65s' },
  errors: { rules: [tooManyRequests(REFUSED)] },
  routes: [ticket('create-ticket', '/api/v2/tickets'), ticket('create-ticket-json', '/api/v2/tickets.json')],
};
