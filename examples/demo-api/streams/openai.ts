import type { Resource } from '../resources.ts';
import {
  CREATED,
  json,
  OVERLOADED,
  PING,
  PROMPT_TOKENS,
  type Question,
  type StreamApi,
  type StreamEvent,
} from './api.ts';

/** https://platform.openai.com/docs/guides/error-codes */
function failure(status: number): Resource {
  const type =
    status === 429 ? 'rate_limit_exceeded' : status < 500 ? 'invalid_request_error' : 'server_error';
  return { error: { message: `The demo API was asked to answer ${status}.`, type, param: null, code: null } };
}

const asks = (body: Resource) => body['stream'] === true;

/** https://platform.openai.com/docs/api-reference/chat-streaming */
export const openaiChat: StreamApi = {
  path: /^\/(?:openai\/)?v1\/chat\/completions$/,
  streams: asks,
  events: chatChunks,
  ping: PING,
  error: json({ error: { message: OVERLOADED, type: 'server_error', param: null, code: null } }),
  failed: json({ error: { message: OVERLOADED, type: 'server_error', param: null, code: null } }, 'error'),
  reply: chatReply,
  failure,
};

/** https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming: the first chunk has no choice. */
export const azureChat: StreamApi = {
  ...openaiChat,
  path: /^\/openai\/deployments\/[^/]+\/chat\/completions$/,
  events: (question) => [
    json({
      choices: [],
      created: 0,
      id: '',
      model: '',
      object: '',
      prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }],
    }),
    ...chatChunks(question),
  ],
};

function chatChunks({ pieces, model, body }: Question): readonly StreamEvent[] {
  const chunk = (choices: readonly Resource[], more: Resource = {}) =>
    json({ id: 'chatcmpl-demo', object: 'chat.completion.chunk', created: CREATED, model, choices, ...more });
  const choice = (delta: Resource, finish_reason: string | null = null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason }]);
  const options = body['stream_options'] as { readonly include_usage?: boolean } | undefined;
  return [
    choice({ role: 'assistant', content: '', refusal: null }),
    ...pieces.map((content) => choice({ content })),
    choice({}, 'stop'),
    ...(options?.include_usage === true ? [chunk([], { usage: chatUsage(pieces) })] : []),
    { data: '[DONE]' },
  ];
}

const chatUsage = (pieces: readonly string[]) => ({
  prompt_tokens: PROMPT_TOKENS,
  completion_tokens: pieces.length,
  total_tokens: PROMPT_TOKENS + pieces.length,
});

function chatReply({ pieces, model }: Question): Resource {
  const message = { role: 'assistant', content: pieces.join(''), refusal: null };
  return {
    id: 'chatcmpl-demo',
    object: 'chat.completion',
    created: CREATED,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    usage: chatUsage(pieces),
  };
}

/** https://platform.openai.com/docs/api-reference/responses-streaming */
export const openaiResponses: StreamApi = {
  path: /^\/(?:openai\/)?v1\/responses$/,
  streams: asks,
  events: responseEvents,
  ping: json({ type: 'keepalive', sequence_number: 0 }, 'keepalive'),
  error: json(
    { type: 'error', code: 'server_error', message: OVERLOADED, param: null, sequence_number: 0 },
    'error',
  ),
  failed: json({ type: 'response.failed', sequence_number: 0, response: overloaded() }, 'response.failed'),
  failedReply: overloaded(),
  reply: (question) => response(question, 'completed'),
  failure,
};

/** A response that failed before it began. */
function overloaded(): Resource {
  const failed = response({ pieces: [], model: 'demo', body: {} }, 'failed');
  return { ...failed, error: { code: 'server_is_overloaded', message: OVERLOADED } };
}

function responseEvents(question: Question): readonly StreamEvent[] {
  const { pieces } = question;
  const text = pieces.join('');
  const item_id = 'msg_demo';
  const at = { item_id, output_index: 0, content_index: 0 };
  const empty = { type: 'output_text', text: '', annotations: [] };
  const item = { id: item_id, type: 'message', status: 'in_progress', role: 'assistant', content: [] };
  const begun = response({ ...question, pieces: [] }, 'in_progress');
  const events: readonly (readonly [string, Resource])[] = [
    ['response.created', { response: begun }],
    ['response.in_progress', { response: begun }],
    ['response.output_item.added', { output_index: 0, item }],
    ['response.content_part.added', { ...at, part: empty }],
    ...pieces.map((delta) => ['response.output_text.delta', { ...at, delta, logprobs: [] }] as const),
    ['response.output_text.done', { ...at, text, logprobs: [] }],
    ['response.content_part.done', { ...at, part: { ...empty, text } }],
    ['response.output_item.done', { output_index: 0, item: message(text) }],
    ['response.completed', { response: response(question, 'completed') }],
  ];
  return events.map(([type, fields], sequence_number) => json({ type, sequence_number, ...fields }, type));
}

const message = (text: string) => ({
  id: 'msg_demo',
  type: 'message',
  status: 'completed',
  role: 'assistant',
  content: [{ type: 'output_text', text, annotations: [] }],
});

function response({ pieces, model }: Question, status: 'in_progress' | 'completed' | 'failed'): Resource {
  const completed = status === 'completed';
  return {
    id: 'resp_demo',
    object: 'response',
    created_at: CREATED,
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model,
    output: completed ? [message(pieces.join(''))] : [],
    parallel_tool_calls: true,
    usage: completed ? usage(pieces) : null,
  };
}

const usage = (pieces: readonly string[]) => ({
  input_tokens: PROMPT_TOKENS,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: pieces.length,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: PROMPT_TOKENS + pieces.length,
});
