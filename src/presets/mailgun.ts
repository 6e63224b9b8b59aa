import type { Preset } from './preset.ts';

const LIMIT = 'https://github.com/mailgun/mailgun-java/issues/50';

/** The body says when the domain may send again, in a sentence. */
export const mailgun: Preset = {
  hosts: ['api.mailgun.net', 'api.eu.mailgun.net'],
  about:
    'A 420: the domain has reached its limit of recipients, and nothing was sent. `auth.basic` adds `api` and the key.',
  source: LIMIT,
  verified: '2026-11-30',
  // A path names its domain, and each domain has its own limit.
  quota: { scope: 'path' },
  errors: {
    rules: [
      {
        name: 'recipient_limit',
        source: LIMIT,
        status: 420,
        body: { '/message': '*limit exceeded*' },
        means: 'not_processed',
        throttled: true,
      },
    ],
  },
};
