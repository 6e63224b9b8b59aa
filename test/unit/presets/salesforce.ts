import type { PresetExamples } from '../../support/preset-examples.ts';

export const salesforce: PresetExamples = {
  hosts: ['my-company.my.salesforce.com'],
  replies: [
    {
      status: 403,
      body: [{ errorCode: 'REQUEST_LIMIT_EXCEEDED', message: 'TotalRequests Limit exceeded.' }],
      means: 'permanent limit_of_the_day throttled',
    },
    {
      status: 403,
      body: [
        {
          errorCode: 'REQUEST_LIMIT_EXCEEDED',
          message: 'ConcurrentRequests (Concurrent API Requests) Limit exceeded.',
        },
      ],
      means: 'retry too_many_at_once throttled',
    },
    { status: 403, body: [{ errorCode: 'INSUFFICIENT_ACCESS', message: 'm' }], means: 'not_retryable' },
    { call: 'GET /services/data/v60.0/query', status: 503, means: 'retry' },
  ],
};
