import type { PresetExamples } from '../../support/preset-examples.ts';

export const slack: PresetExamples = {
  hosts: ['slack.com'],
  replies: [
    { status: 429, headers: { 'retry-after': '30' }, means: 'retry rate_limited throttled 30s' },
    { status: 200, body: { ok: false, error: 'ratelimited' }, means: 'success' },
    {
      keys: 'errors: { inspect: all }',
      status: 200,
      body: { ok: false, error: 'ratelimited' },
      means: 'retry ratelimited throttled',
    },
    { keys: 'errors: { inspect: all }', status: 200, body: { ok: true }, means: 'success' },
    { status: 503, means: 'not_idempotent' },
    { call: 'POST /api/users.list', status: 503, means: 'retry' },
    { call: 'POST /api/chat.postMessage', status: 503, means: 'not_idempotent' },
  ],
  requests: [
    { call: 'POST /api/users.list', repeats: 'safe' },
    { call: 'POST /api/conversations.info', repeats: 'safe' },
    { call: 'POST /api/conversations.history', repeats: 'safe' },
    { call: 'POST /api/conversations.replies', repeats: 'safe' },
    { call: 'POST /api/auth.test', repeats: 'safe' },
    { call: 'POST /api/chat.postMessage', repeats: 'none' },
  ],
};
