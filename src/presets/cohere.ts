import { type Preset, type PresetRoute, safePosts, tooManyRequests } from './preset.ts';

const SDK = 'https://github.com/cohere-ai/cohere-typescript/blob/main/src/core/fetcher/requestWithRetries.ts';
const CHAT = 'https://github.com/cohere-ai/cohere-typescript/blob/main/src/api/resources/v2/client/Client.ts';
const REASONS = 'https://github.com/cohere-ai/cohere-typescript/blob/main/src/api/types/ChatFinishReason.ts';

const answers = safePosts(SDK);

const chat: PresetRoute = {
  ...answers('chat', '/v2/chat'),
  stream: {
    ignore: [{ source: CHAT, body: { '/type': 'message-start' } }],
    error: [
      {
        name: 'error',
        source: REASONS,
        body: { '/type': 'message-end', '/delta/finish_reason': 'ERROR' },
        status: 500,
      },
      {
        name: 'timeout',
        source: REASONS,
        body: { '/type': 'message-end', '/delta/finish_reason': 'TIMEOUT' },
        status: 504,
      },
    ],
    done: [
      { source: CHAT, data: '[DONE]' },
      { source: CHAT, body: { '/type': 'message-end' } },
    ],
  },
};

export const cohere: Preset = {
  hosts: ['api.cohere.com'],
  about:
    'A 429 was never processed; its SDK waits five minutes; chats, embeddings and rankings may be repeated. Errors at the end of a stream.',
  source: SDK,
  verified: '2026-11-30',
  sources: { 'timeouts.attempt': CHAT },
  timeouts: { attempt: '5m' },
  errors: { rules: [tooManyRequests(SDK)] },
  routes: [
    chat,
    answers('embed', '/v2/embed'),
    answers('rerank', '/v2/rerank'),
    answers('chat-v1', '/v1/chat'),
    answers('embed-v1', '/v1/embed'),
    answers('rerank-v1', '/v1/rerank'),
    answers('classify', '/v1/classify'),
    answers('tokenize', '/v1/tokenize'),
    answers('detokenize', '/v1/detokenize'),
  ],
};
