import type { Resource } from '../resources.ts';
import { json, OVERLOADED, PING, PROMPT_TOKENS, type Question, type StreamApi } from './api.ts';

const overloaded = { error: { code: 503, message: OVERLOADED, status: 'UNAVAILABLE' } };

/** https://ai.google.dev/api/generate-content. It streams as server-sent events, also without `alt=sse`. */
export const google: StreamApi = {
  path: /^\/(?:v1beta|v1)\/(?:projects\/[^/]+\/locations\/[^/]+\/publishers\/[^/]+\/)?models\/[^/]+:(?:streamG|g)enerateContent$/,
  streams: (_body, path) => path.endsWith(':streamGenerateContent'),
  events: (question) =>
    question.pieces.map((text, i) => {
      const last = i === question.pieces.length - 1;
      return json(reply({ ...question, pieces: [text] }, last ? 'STOP' : undefined, i + 1));
    }),
  ping: PING,
  error: json(overloaded),
  // AI Studio also breaks the form of server-sent events (github.com/vercel/ai/issues/5217).
  failed: `${JSON.stringify(overloaded, undefined, 2)}\n`,
  reply: (question) => reply(question, 'STOP', question.pieces.length),
  failure: (status) => ({
    error: {
      code: status,
      message: `The demo API was asked to answer ${status}.`,
      status: STATUSES[status] ?? 'INTERNAL',
    },
  }),
};

const STATUSES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

function reply({ pieces, model }: Question, finishReason: string | undefined, tokens: number): Resource {
  const content = { parts: [{ text: pieces.join('') }], role: 'model' };
  return {
    candidates: [{ content, finishReason, index: 0 }],
    usageMetadata: {
      promptTokenCount: PROMPT_TOKENS,
      candidatesTokenCount: tokens,
      totalTokenCount: PROMPT_TOKENS + tokens,
    },
    modelVersion: model,
    responseId: 'demo',
  };
}
