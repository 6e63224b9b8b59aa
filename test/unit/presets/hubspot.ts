import type { PresetExamples } from '../../support/preset-examples.ts';

export const hubspot: PresetExamples = {
  hosts: ['api.hubapi.com'],
  replies: [
    {
      status: 429,
      body: {
        status: 'error',
        message: 'You have reached your daily limit.',
        errorType: 'RATE_LIMIT',
        policyName: 'DAILY',
      },
      means: 'permanent limit_of_the_day throttled',
    },
    {
      status: 429,
      body: { policyName: 'TEN_SECONDLY_ROLLING' },
      means: 'retry limit_of_ten_seconds throttled 10s',
    },
    {
      call: 'POST /crm/v3/objects/contacts/search',
      status: 429,
      body: { message: 'You have reached your secondly limit.' },
      means: 'retry limit_of_a_second throttled 1s',
    },
    { status: 429, headers: { 'retry-after': '2' }, means: 'retry rate_limited throttled 2s' },
    { status: 502, means: 'not_idempotent' },
  ],
  requests: [
    { call: 'POST /crm/v3/objects/contacts/search', repeats: 'safe' },
    { call: 'POST /crm/v3/objects/contacts/batch/read', repeats: 'safe' },
    { call: 'POST /crm/v3/objects/contacts/batch/create', repeats: 'none' },
  ],
};
