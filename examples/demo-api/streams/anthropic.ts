import type { Resource } from '../resources.ts';
import {
  json,
  OVERLOADED,
  PING,
  PROMPT_TOKENS,
  type Question,
  type StreamApi,
  type StreamEvent,
} from './api.ts';

/** https://platform.claude.com/docs/en/build-with-claude/streaming and …/api/errors */
export const anthropic: StreamApi = {
  path: /^\/v1\/messages$/,
  streams: (body) => body['stream'] === true,
  events,
  ping: PING,
  error: json({ type: 'error', error: { type: 'overloaded_error', message: OVERLOADED } }, 'error'),
  failed: json({ type: 'error', error: { type: 'api_error', message: 'Internal server error' } }, 'error'),
  reply: (question) => message(question, true),
  failure: (status) => ({
    type: 'error',
    error: { type: TYPES[status] ?? 'api_error', message: `The demo API was asked to answer ${status}.` },
  }),
};

const TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  529: 'overloaded_error',
};

function events(question: Question): readonly StreamEvent[] {
  const { pieces } = question;
  const all: readonly Resource[] = [
    { type: 'message_start', message: message(question, false) },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...pieces.map((text) => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text },
    })),
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: pieces.length },
    },
    { type: 'message_stop' },
  ];
  return all.map((event) => json(event, String(event['type'])));
}

function message({ pieces, model }: Question, whole: boolean): Resource {
  return {
    id: 'msg_demo',
    type: 'message',
    role: 'assistant',
    model,
    content: whole ? [{ type: 'text', text: pieces.join('') }] : [],
    stop_reason: whole ? 'end_turn' : null,
    stop_sequence: null,
    usage: { input_tokens: PROMPT_TOKENS, output_tokens: whole ? pieces.length : 1 },
  };
}
