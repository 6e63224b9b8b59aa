import { quotaFormats } from './openai.ts';
import { type Preset, type PresetRoute, safePosts, tooManyRequests } from './preset.ts';

const LIMITS = 'https://console.groq.com/docs/rate-limits';
const ERRORS = 'https://console.groq.com/docs/errors';
const SDK = 'https://github.com/groq/groq-typescript/blob/main/src/client.ts';
const STREAMS = 'https://github.com/groq/groq-typescript/blob/main/src/core/streaming.ts';

const answers = safePosts(SDK);

const chat: PresetRoute = {
  ...answers('chat-completions', '/openai/v1/chat/completions'),
  stream: {
    error: [{ name: 'error', source: STREAMS, body: { '/error': '*' } }],
    done: [{ source: STREAMS, data: '[DONE]' }],
  },
};

/** Requests are limited per day, tokens per minute, each for a model of an organisation. */
export const groq: Preset = {
  hosts: ['api.groq.com'],
  about:
    'Limits per model in the headers of OpenAI; a 429, and the 498 of a full flex tier, were never processed; `x-should-retry`. Errors within a stream.',
  source: LIMITS,
  verified: '2026-11-30',
  sources: {
    'retry.veto_headers': SDK,
    'retry.not_processed': ERRORS,
  },
  retry: { veto_headers: ['x-should-retry'], not_processed: [498] },
  quota: { scope: '/model', wait: '65s', formats: quotaFormats({ reset_as: 'go_duration' }) },
  errors: { rules: [tooManyRequests(LIMITS)] },
  routes: [chat, answers('embeddings', '/openai/v1/embeddings')],
};
