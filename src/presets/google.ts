import { type Preset, type PresetRoute, type PresetStreamError, safePosts } from './preset.ts';

const ERROR_MODEL = 'https://cloud.google.com/apis/design/errors';
const DRIVE = 'https://developers.google.com/workspace/drive/api/guides/handle-errors';
const KEYS = 'https://cloud.google.com/docs/authentication/api-keys-use';
const GEMINI = 'https://ai.google.dev/api/generate-content';

/** Its thinking models, and its own clients, wait for minutes. */
const THINKING = 'https://ai.google.dev/gemini-api/docs/thinking';

/** A chunk that is an error in the form of the error model, with this status. */
function errorChunk(
  name: string,
  status: number,
  statuses: string | readonly string[],
  more: Pick<PresetStreamError, 'means' | 'throttled' | 'wait'> = {},
): PresetStreamError {
  return { name, source: ERROR_MODEL, body: { '/error/status': statuses }, status, ...more };
}

const answers = (name: string, path: string): PresetRoute => ({
  ...safePosts(GEMINI)(name, path),
  timeouts: { attempt: '10m', idle: '10m', total: '10m' },
});

/** Compared: the statuses that may be repeated with its client (googleapis/js-genai). */
export const google: Preset = {
  hosts: ['*.googleapis.com'],
  about:
    'The wait in `RetryInfo`, rate limits with 403, daily quotas; long replies of Gemini, which may be repeated. Errors within its streams.',
  source: ERROR_MODEL,
  verified: '2026-11-30',
  sources: {
    'quota.credential_headers': KEYS,
    'identity.secret_names': KEYS,
    'identity.account_names': 'https://cloud.google.com/apis/docs/system-parameters',
    stream: GEMINI,
    'stream.first_event': THINKING,
    'stream.event_gap': THINKING,
  },
  identity: {
    secret_names: ['key', 'access_token', 'x-goog-api-key'],
    account_names: ['x-goog-user-project', 'login-customer-id'],
  },
  retry: { retry_after: { max: '65s' } },
  quota: { wait: '65s', credential_headers: ['authorization', 'x-goog-api-key'] },
  errors: {
    rules: [
      {
        name: 'quota_of_the_day',
        source: DRIVE,
        status: 403,
        body: { '/error/errors/*/reason': 'dailyLimitExceeded' },
        means: 'permanent',
        throttled: true,
      },
      {
        name: 'rate_limited',
        source: DRIVE,
        status: 403,
        body: { '/error/errors/*/reason': ['rateLimitExceeded', 'userRateLimitExceeded'] },
        means: 'retry',
        throttled: true,
      },
      {
        name: 'resource_exhausted',
        source: ERROR_MODEL,
        status: 429,
        throttled: true,
        wait: '/error/details/*/retryDelay',
      },
      { name: 'unavailable', source: ERROR_MODEL, status: 503, wait: '/error/details/*/retryDelay' },
    ],
  },
  stream: {
    first_event: '5m',
    event_gap: '5m',
    ignore: ['ping'],
    error: [
      errorChunk('resource_exhausted', 429, 'RESOURCE_EXHAUSTED', {
        means: 'not_processed',
        throttled: true,
        wait: '/error/details/*/retryDelay',
      }),
      errorChunk('unavailable', 503, 'UNAVAILABLE', { wait: '/error/details/*/retryDelay' }),
      errorChunk('deadline_exceeded', 504, 'DEADLINE_EXCEEDED'),
      errorChunk(
        'refused',
        400,
        [
          'INVALID_ARGUMENT',
          'FAILED_PRECONDITION',
          'OUT_OF_RANGE',
          'UNAUTHENTICATED',
          'PERMISSION_DENIED',
          'NOT_FOUND',
          'UNIMPLEMENTED',
        ],
        { means: 'permanent' },
      ),
      errorChunk('internal', 500, 'INTERNAL'),
      { name: 'error', source: ERROR_MODEL, body: { '/error': '*' } },
    ],
    done: [
      { source: GEMINI, body: { '/candidates/*/finishReason': '*' } },
      { source: GEMINI, body: { '/promptFeedback/blockReason': '*' } },
    ],
  },
  routes: [
    answers('generate-content', '/v1beta/models/*:generateContent'),
    answers('stream-generate-content', '/v1beta/models/*:streamGenerateContent'),
    answers('embed-content', '/v1beta/models/*:embedContent'),
    answers('vertex-generate-content', '/v1/projects/*/locations/*/publishers/*/models/*:generateContent'),
    answers(
      'vertex-stream-generate-content',
      '/v1/projects/*/locations/*/publishers/*/models/*:streamGenerateContent',
    ),
  ],
};
