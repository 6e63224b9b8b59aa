import type { PresetExamples } from '../../support/preset-examples.ts';

export const airtable: PresetExamples = {
  hosts: ['api.airtable.com'],
  replies: [
    { call: 'POST /v0/app1/Table', status: 429, means: 'retry rate_limited throttled 30s' },
    { call: 'POST /v0/app1/Table', status: 503, means: 'not_idempotent' },
    { call: 'GET /v0/app1/Table', status: 503, means: 'retry' },
  ],
};
