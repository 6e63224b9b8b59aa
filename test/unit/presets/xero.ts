import type { PresetExamples } from '../../support/preset-examples.ts';

export const xero: PresetExamples = {
  hosts: ['api.xero.com'],
  replies: [
    {
      call: 'GET /api.xro/2.0/Invoices',
      status: 429,
      headers: { 'retry-after': '66975', 'x-rate-limit-problem': 'day', 'x-daylimit-remaining': '0' },
      means: 'permanent limit_of_the_day throttled 66975s',
    },
    {
      status: 429,
      headers: { 'retry-after': '37', 'x-rate-limit-problem': 'minute' },
      means: 'retry rate_limited throttled 37s',
    },
    { status: 429, headers: { 'x-rate-limit-problem': 'concurrent' }, means: 'retry rate_limited throttled' },
    { call: 'POST /api.xro/2.0/Invoices', status: 503, means: 'retry' },
  ],
  requests: [
    { call: 'POST /api.xro/2.0/Invoices', repeats: 'inject idempotency-key' },
    { call: 'PUT /api.xro/2.0/Invoices', repeats: 'once' },
    { call: 'PUT /api.xro/2.0/Invoices/I/Attachments/a.pdf', repeats: 'once' },
  ],
};
