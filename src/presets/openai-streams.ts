import type { PresetErrorRule, PresetStreamError, PresetValues } from './preset.ts';

const ERRORS = 'https://platform.openai.com/docs/guides/error-codes';
const RESPONSES = 'https://platform.openai.com/docs/api-reference/responses-streaming';
const CHAT = 'https://platform.openai.com/docs/api-reference/chat-streaming';
const IMAGES = 'https://platform.openai.com/docs/api-reference/images-streaming';
const AUDIO = 'https://platform.openai.com/docs/api-reference/audio';
/** The code with which OpenAI itself reads streams: which codes it repeats, and how long it waits. */
const CODEX = 'https://github.com/openai/codex/tree/main/codex-rs/codex-api/src/sse';
const CODEX_WAITS = 'https://github.com/openai/codex/blob/main/codex-rs/core/src/model_provider_info.rs';

export const STREAM_SOURCES: Readonly<Record<string, string>> = {
  stream: RESPONSES,
  'stream.first_event': CODEX_WAITS,
  'stream.event_gap': CODEX_WAITS,
};

const RATE_LIMITED = ['rate_limit_exceeded', 'too_many_requests', 'requests', 'tokens'];
const OVERLOADED = ['server_is_overloaded', 'slow_down', 'service_unavailable_error'];
/** The request itself is wrong, or refused for its content. */
const REFUSED = [
  'invalid_*',
  'image_*',
  '*_policy',
  '*_policy_violation',
  'content_filter',
  'context_length_exceeded',
  'data_residency_mismatch',
  'empty_image_file',
  'unsupported_image_media_type',
  'usage_not_included',
];
/** The account has no credit left, or has reached its spend limit. */
export const UNPAID_CODES = [
  'insufficient_quota',
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'project_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
];

type Meaning = Omit<PresetStreamError, 'body' | 'event' | 'data' | 'text'>;

/** A code of an error in a chunk of a chat, in the event `error`, and in the event `response.failed`. */
const coded = (codes: readonly string[], meaning: Meaning): readonly PresetStreamError[] => [
  { ...meaning, body: { '/error/code': codes } },
  { ...meaning, body: { '/error/type': codes } },
  { ...meaning, event: 'error', body: { '/code': codes } },
  { ...meaning, event: 'response.failed', body: { '/response/error/code': codes } },
];

/** Reasoning models are silent for minutes before their first chunk of a chat (github.com/BerriAI/litellm/issues/36992). */
export const STREAM = {
  first_event: '5m',
  event_gap: '5m',
  // The first two events of a response repeat the instructions and tools of its request.
  hold: '512KiB',
  // These come before the API knows whether it can answer. Gateways for the same API send `ping`.
  ignore: ['keepalive', 'ping', 'response.created', 'response.queued', 'response.in_progress'],
  error: [
    ...coded(UNPAID_CODES, {
      name: 'unpaid',
      source: ERRORS,
      status: 429,
      means: 'permanent',
      throttled: true,
    }),
    ...coded(RATE_LIMITED, {
      name: 'rate_limit_exceeded',
      source: CODEX,
      status: 429,
      means: 'not_processed',
      throttled: true,
    }),
    ...coded(OVERLOADED, { name: 'overloaded', source: CODEX, status: 503, means: 'not_processed' }),
    ...coded(REFUSED, { name: 'refused', source: RESPONSES, status: 400, means: 'permanent' }),
    ...coded(['server_error'], { name: 'server_error', source: ERRORS, status: 500 }),
    { name: 'error', source: CHAT, event: ['error', 'response.failed'] },
    { name: 'error', source: CHAT, body: { '/error': '*' } },
  ],
  done: [
    { source: CHAT, data: '[DONE]' },
    { source: RESPONSES, event: ['response.completed', 'response.incomplete'] },
    { source: IMAGES, event: ['image_generation.completed', 'image_edit.completed'] },
    { source: AUDIO, event: ['speech.audio.done', 'transcript.text.done'] },
  ],
} satisfies PresetValues['stream'];

/** A response can fail with status 200. Only the route of responses reads such bodies. */
export const FAILED_RESPONSES: readonly PresetErrorRule[] = [
  failed('response_unpaid', UNPAID_CODES, { means: 'permanent', throttled: true }),
  failed('response_rate_limited', RATE_LIMITED, { means: 'not_processed', throttled: true }),
  failed('response_overloaded', OVERLOADED, { means: 'not_processed' }),
  failed('response_server_error', ['server_error'], { means: 'retry' }),
];

function failed(
  name: string,
  codes: readonly string[],
  meaning: Pick<PresetErrorRule, 'means' | 'throttled'>,
): PresetErrorRule {
  return {
    name,
    source: 'https://platform.openai.com/docs/api-reference/responses/object#responses/object-error',
    status: 200,
    body: { '/status': 'failed', '/error/code': codes },
    ...meaning,
  };
}
