import {
  type Preset,
  type PresetErrorRule,
  type PresetRoute,
  type PresetStreamError,
  safePosts,
} from './preset.ts';

const ERRORS = 'https://openrouter.ai/docs/api/reference/errors-and-debugging';
const STREAMS = 'https://openrouter.ai/docs/api/reference/streaming';
const OPENAPI = 'https://github.com/OpenRouterTeam/typescript-sdk/blob/main/.speakeasy/in.openapi.yaml';

const answers = safePosts('https://github.com/OpenRouterTeam/typescript-sdk/blob/main/src/funcs/chatSend.ts');

/** Types of errors, the same in all formats of the API (`ApiErrorType` in `OPENAPI`). */
const REFUSED = [
  'context_length_exceeded',
  'max_tokens_exceeded',
  'token_limit_exceeded',
  'string_too_long',
  'authentication',
  'permission_denied',
  'invalid_*',
  'not_found',
  'precondition_failed',
  'payload_too_large',
  'unprocessable',
  'content_policy_violation',
  'refusal',
  'image_*',
  'unsupported_image_format',
];

const RULES: readonly PresetErrorRule[] = [
  {
    // Other 402s mean that credit is missing. This one passes.
    name: 'in_flight_budget',
    source: ERRORS,
    status: 402,
    body: { '/error/metadata/limit_source': 'openrouter_in_flight_budget' },
    means: 'not_processed',
    throttled: true,
  },
  { name: 'insufficient_credits', source: ERRORS, status: 402, means: 'permanent', throttled: true },
  { name: 'rate_limited', source: ERRORS, status: 429, means: 'not_processed', throttled: true },
  { name: 'no_provider', source: ERRORS, status: 503, means: 'not_processed' },
  { name: 'provider_overloaded', source: OPENAPI, status: 529, means: 'not_processed' },
];

/** If the model has begun, an error comes with status 200, and its real status is its code. */
const IN_A_200: readonly PresetErrorRule[] = [
  {
    name: 'rate_limited_in_a_200',
    source: ERRORS,
    status: 200,
    body: { '/error/code': '429' },
    means: 'not_processed',
    throttled: true,
  },
  {
    name: 'failed_in_a_200',
    source: ERRORS,
    status: 200,
    body: { '/error/code': ['408', '500', '502', '503', '529'] },
    means: 'retry',
  },
];

/** A type of error in a chunk of a chat, and in the event `error` of messages. */
const typed = (
  types: readonly string[],
  meaning: Omit<PresetStreamError, 'body' | 'event' | 'source'>,
): readonly PresetStreamError[] => [
  { ...meaning, source: OPENAPI, body: { '/error/metadata/error_type': types } },
  { ...meaning, source: OPENAPI, body: { '/error/error_type': types } },
];

const STREAM: PresetRoute['stream'] = {
  error: [
    ...typed(['payment_required'], { name: 'unpaid', status: 402, means: 'permanent', throttled: true }),
    ...typed(['rate_limit_exceeded'], {
      name: 'rate_limit_exceeded',
      status: 429,
      means: 'not_processed',
      throttled: true,
    }),
    ...typed(['provider_overloaded'], { name: 'overloaded', status: 529, means: 'not_processed' }),
    ...typed(['provider_unavailable'], { name: 'unavailable', status: 502 }),
    ...typed(['timeout'], { name: 'timeout', status: 504 }),
    ...typed(REFUSED, { name: 'refused', status: 400, means: 'permanent' }),
    { name: 'error', source: STREAMS, body: { '/error': '*' } },
  ],
  done: [
    { source: STREAMS, data: '[DONE]' },
    { source: OPENAPI, event: 'message_stop' },
  ],
};

const chats = (name: string, path: string): PresetRoute => ({
  ...answers(name, path),
  errors: { inspect: 'all', rules: [...RULES, ...IN_A_200] },
  stream: STREAM,
});

/** Comments in a stream keep the connection alive, and are no events. */
export const openrouter: Preset = {
  hosts: ['openrouter.ai'],
  about:
    'Missing credit is not retried; 429, 503 and 529 were never processed; chats, embeddings and rankings may be repeated. Errors within a stream or a 200.',
  source: ERRORS,
  verified: '2026-11-30',
  errors: { rules: RULES },
  routes: [
    chats('chat-completions', '/api/v1/chat/completions'),
    chats('messages', '/api/v1/messages'),
    answers('embeddings', '/api/v1/embeddings'),
    answers('rerank', '/api/v1/rerank'),
  ],
};
