import type { Resource } from '../resources.ts';
import { json, OVERLOADED, type Question, type StreamApi } from './api.ts';

/** https://docs.ollama.com/api/chat: NDJSON, one object a line; a stream unless `stream` is false. */
export const ollama: StreamApi = {
  path: /^\/api\/chat$/,
  lines: true,
  streams: (body) => body['stream'] !== false,
  events: (question) => [
    ...question.pieces.map((piece) => json(line(question, piece, false))),
    json(line(question, '', true)),
  ],
  ping: { data: '' },
  error: json({ error: OVERLOADED }),
  reply: (question) => line(question, question.pieces.join(''), true),
  failure: (status) => ({ error: `the demo API was asked to answer ${status}` }),
};

function line({ model, pieces }: Question, content: string, done: boolean): Resource {
  return {
    model,
    created_at: '2026-01-01T00:00:00Z',
    message: { role: 'assistant', content },
    done,
    ...(done ? { done_reason: 'stop', eval_count: pieces.length } : {}),
  };
}
