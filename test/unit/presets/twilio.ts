import type { PresetExamples } from '../../support/preset-examples.ts';

export const twilio: PresetExamples = {
  hosts: ['api.twilio.com', 'verify.twilio.com'],
  replies: [
    {
      status: 429,
      body: { code: 20429, message: 'Too Many Requests', status: 429 },
      means: 'retry too_many_requests throttled',
    },
    {
      status: 429,
      body: { code: 60203, message: 'Max send attempts reached', status: 429 },
      means: 'permanent verify_attempts',
    },
    { status: 503, means: 'not_idempotent' },
  ],
  quotas: [{ headers: { ratelimit: '"default";r=3;t=9' }, readings: [{ remaining: 3, resetMs: 9000 }] }],
};
