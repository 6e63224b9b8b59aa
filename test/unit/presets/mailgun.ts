import type { PresetExamples } from '../../support/preset-examples.ts';

export const mailgun: PresetExamples = {
  hosts: ['api.mailgun.net', 'api.eu.mailgun.net'],
  replies: [
    {
      call: 'POST /v3/mail.example.com/messages',
      status: 420,
      body: {
        message:
          'Domain mail.example.com is not allowed to send: recipient limit exceeded, try again after Mon, 25 Aug 2025 07:00:31 UTC',
      },
      means: 'retry recipient_limit throttled',
    },
    {
      call: 'POST /v3/mail.example.com/messages',
      status: 420,
      body: { message: 'm' },
      means: 'not_retryable',
    },
    { call: 'POST /v3/mail.example.com/messages', status: 503, means: 'not_idempotent' },
  ],
};
