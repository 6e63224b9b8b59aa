import type { PresetExamples } from '../../support/preset-examples.ts';

export const quickbooks: PresetExamples = {
  hosts: ['quickbooks.api.intuit.com', 'sandbox-quickbooks.api.intuit.com'],
  replies: [
    { call: 'POST /v3/company/1/invoice', status: 429, means: 'retry rate_limited throttled 60s' },
    { call: 'POST /v3/company/1/invoice', status: 503, means: 'not_idempotent' },
    { call: 'GET /v3/company/1/query', status: 503, means: 'retry' },
  ],
};
