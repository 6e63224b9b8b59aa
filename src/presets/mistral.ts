import { type Preset, type PresetRoute, safePosts, tooManyRequests } from './preset.ts';

const ERRORS = 'https://docs.mistral.ai/resources/error-glossary';
const SDK = 'https://github.com/mistralai/client-ts/tree/main/src/funcs';

const answers = safePosts(SDK);

/** A stream of chat ends with `[DONE]`. */
const streams = (name: string, path: string): PresetRoute => ({
  ...answers(name, path),
  stream: { done: [{ source: SDK, data: '[DONE]' }] },
});

/** Its documentation asks to repeat 429, 500, 502, 503 and 504. */
export const mistral: Preset = {
  hosts: ['api.mistral.ai'],
  about:
    'A 429 was never processed; chats, embeddings and classifications may be repeated; streams end with `[DONE]`.',
  source: ERRORS,
  verified: '2026-11-30',
  errors: { rules: [tooManyRequests(ERRORS)] },
  routes: [
    streams('chat-completions', '/v1/chat/completions'),
    streams('fim-completions', '/v1/fim/completions'),
    answers('embeddings', '/v1/embeddings'),
    answers('moderations', '/v1/moderations'),
    answers('chat-moderations', '/v1/chat/moderations'),
    answers('classifications', '/v1/classifications'),
    answers('chat-classifications', '/v1/chat/classifications'),
    answers('ocr', '/v1/ocr'),
  ],
};
