import { describe, expect, test } from 'vitest';
import type { RouteConfig } from '../../src/config/config.ts';
import { type Good, loadConfig } from '../../src/config/load.ts';
import { presetFile } from '../../src/config/resolve/preset.ts';
import { routeValues } from '../../src/config/show/effective.ts';
import { quotaReader } from '../../src/http/rate-limit.ts';
import type { Reply } from '../../src/http/reply.ts';
import { askedWaitMs } from '../../src/http/retry-after.ts';
import { RuleMatcher } from '../../src/policies/error-rules/rule-matcher.ts';
import { classify } from '../../src/policies/retry/classify.ts';
import { EventMatcher } from '../../src/policies/stream/event-matcher.ts';
import { PRESETS } from '../../src/presets/presets.ts';
import { Router } from '../../src/routing/router.ts';

const NOW = Date.UTC(2026, 0, 1);

function load(preset: string, more = '', files: Record<string, string> = {}): Good {
  const text = `upstreams:\n  api: { url: https://api.example.com, preset: ${preset}${more} }\n`;
  const loaded = loadConfig('config.yaml', {}, (path) => files[path] ?? text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

function routeOf({ config }: Good, method: string, path: string): RouteConfig {
  const upstreams = config.upstreams.map(({ mount, basePath, routes }) => ({
    mount,
    basePath,
    routes: routes.map((route) => ({ ...route, route })),
  }));
  const match = new Router(upstreams).match(method, undefined, `/api${path}`);
  if (match.kind !== 'route') throw new Error(match.why);
  return match.route;
}

interface Seen {
  readonly status: number;
  readonly headers?: readonly string[];
  readonly body?: unknown;
  readonly call?: string;
  readonly keyed?: boolean;
}

/** The result of a reply: `retry` or why not, the rule's name, and the wait that was asked for. */
function outcome(preset: string, { status, headers = [], body = '', call = 'POST /x', keyed }: Seen): string {
  const [method = '', path = ''] = call.split(' ');
  const route = routeOf(load(preset), method, path);
  const { retry, errorRules } = route.settings;
  const json = status < 400 ? ['content-type', 'application/json'] : [];
  const head = { status, headers: [...headers, ...json] };
  const matcher = new RuleMatcher(errorRules);
  const early = matcher.byHead(head, NOW);
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const classification = early === 'body' ? matcher.byBody(head, text, NOW) : early;
  const reply: Pick<Reply, 'status' | 'headers' | 'classification'> = {
    ...head,
    ...(classification !== undefined && { classification }),
  };
  const idempotencyKey = keyed === true || retry.idempotencyKey === 'inject' ? 'k' : undefined;
  const made = classify({ kind: 'reply', reply }, { method, idempotencyKey, safe: retry.safe }, retry, 1);
  const word = made.retry === 'yes' ? 'retry' : made.because;
  const wait = askedWaitMs(reply, NOW);
  return [word, classification?.name, classification?.throttled === true ? 'throttled' : undefined, wait]
    .filter((part) => part !== undefined)
    .join(' ');
}

const error = (fields: object) => ({ error: fields });

describe('the meaning of replies of each API', () => {
  test.each<[string, Seen, string]>([
    // Stripe
    [
      'stripe',
      { status: 429, body: error({ code: 'lock_timeout', type: 'invalid_request_error' }) },
      'retry lock_timeout',
    ],
    ['stripe', { status: 429, body: error({ code: 'rate_limit' }) }, 'retry rate_limited throttled'],
    [
      'stripe',
      { status: 409, body: error({ code: 'idempotency_key_in_use' }) },
      'retry idempotency_key_in_use',
    ],
    ['stripe', { status: 409, body: error({ code: 'resource_already_exists' }) }, 'not_retryable'],
    ['stripe', { status: 402, body: error({ code: 'card_declined' }) }, 'not_retryable'],
    ['stripe', { status: 402, headers: ['Stripe-Should-Retry', 'true'] }, 'retry'],
    ['stripe', { status: 503, headers: ['Stripe-Should-Retry', 'false'] }, 'veto'],
    ['stripe', { status: 500 }, 'not_retryable'],
    // OpenAI
    [
      'openai',
      { status: 429, body: error({ type: 'insufficient_quota', code: 'insufficient_quota' }) },
      'permanent insufficient_quota throttled',
    ],
    [
      'openai',
      { status: 429, body: error({ type: 'x', code: 'project_spend_limit_exceeded' }) },
      'permanent quota_or_spend_limit throttled',
    ],
    [
      'openai',
      {
        status: 429,
        headers: ['retry-after-ms', '1500', 'retry-after', '2'],
        body: error({ type: 'tokens', code: 'rate_limit_exceeded' }),
      },
      'retry rate_limit_exceeded throttled 1500',
    ],
    ['openai', { status: 500, call: 'POST /v1/chat/completions' }, 'retry'],
    ['openai', { status: 500, call: 'POST /v1/responses' }, 'not_retryable'],
    ['openai', { status: 503, call: 'POST /v1/responses' }, 'not_idempotent'],
    ['openai', { status: 503, call: 'POST /v1/embeddings', headers: ['x-should-retry', 'false'] }, 'veto'],
    ['openai', { status: 400, body: error({ code: 'context_length_exceeded' }) }, 'not_retryable'],
    // Azure OpenAI
    [
      'azure-openai',
      { status: 429, headers: ['x-ms-retry-after-ms', '250'], body: error({ code: '429' }) },
      'retry rate_limit_exceeded throttled 250',
    ],
    ['azure-openai', { status: 503, call: 'POST /openai/deployments/gpt/chat/completions' }, 'retry'],
    ['azure-openai', { status: 400, body: error({ code: 'content_filter' }) }, 'not_retryable'],
    // Anthropic
    ['anthropic', { status: 529, body: { type: 'error', error: { type: 'overloaded_error' } } }, 'retry'],
    [
      'anthropic',
      { status: 429, headers: ['retry-after', '7'], body: error({ type: 'rate_limit_error' }) },
      'retry rate_limit_error throttled 7000',
    ],
    [
      'anthropic',
      {
        status: 429,
        body: error({ type: 'rate_limit_error', details: { error_code: 'enforced_spend_limit_reached' } }),
      },
      'permanent enforced_spend_limit_reached throttled',
    ],
    [
      'anthropic',
      {
        status: 400,
        body: error({
          type: 'invalid_request_error',
          message: 'You have reached your specified API usage limits. You will regain access on 2026-02-01.',
        }),
      },
      'permanent own_spend_limit_reached throttled',
    ],
    [
      'anthropic',
      { status: 400, body: error({ type: 'invalid_request_error', message: 'max_tokens: required' }) },
      'not_retryable',
    ],
    ['anthropic', { status: 500, call: 'POST /v1/messages' }, 'retry'],
    ['anthropic', { status: 500, call: 'POST /v1/messages/batches' }, 'not_retryable'],
    // GitHub
    [
      'github',
      {
        status: 403,
        body: {
          message:
            'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.',
        },
      },
      'retry secondary_rate_limit throttled 60000',
    ],
    [
      'github',
      {
        status: 429,
        headers: ['retry-after', '5'],
        body: { message: 'You have exceeded a secondary rate limit' },
      },
      'retry secondary_rate_limit throttled 5000',
    ],
    [
      'github',
      {
        status: 403,
        headers: ['X-RateLimit-Remaining', '0', 'X-RateLimit-Reset', String(NOW / 1000 + 40)],
        body: { message: 'API rate limit exceeded for user ID 1.' },
      },
      'retry primary_rate_limit throttled 40000',
    ],
    [
      'github',
      {
        status: 403,
        headers: ['X-RateLimit-Remaining', '12'],
        body: { message: 'Resource not accessible by integration' },
      },
      'not_retryable',
    ],
    ['github', { status: 404, body: { message: 'Not Found' } }, 'not_retryable'],
    [
      'github',
      {
        status: 200,
        call: 'POST /graphql',
        headers: ['x-ratelimit-remaining', '0', 'x-ratelimit-reset', String(NOW / 1000 + 9)],
        body: { errors: [{ type: 'RATE_LIMITED' }] },
      },
      'retry graphql_rate_limit throttled 9000',
    ],
    [
      'github',
      { status: 200, call: 'POST /graphql', headers: ['x-ratelimit-remaining', '0'], body: { data: {} } },
      'success',
    ],
    // Slack
    ['slack', { status: 429, headers: ['Retry-After', '30'] }, 'retry rate_limited throttled 30000'],
    ['slack', { status: 200, body: { ok: false, error: 'ratelimited' } }, 'success'],
    ['slack', { status: 503 }, 'not_idempotent'],
    ['slack', { status: 503, call: 'POST /api/users.list' }, 'retry'],
    ['slack', { status: 503, call: 'POST /api/chat.postMessage' }, 'not_idempotent'],
    // Twilio
    [
      'twilio',
      { status: 429, body: { code: 20429, message: 'Too Many Requests', status: 429 } },
      'retry too_many_requests throttled',
    ],
    [
      'twilio',
      { status: 429, body: { code: 60203, message: 'Max send attempts reached', status: 429 } },
      'permanent verify_attempts',
    ],
    ['twilio', { status: 503 }, 'not_idempotent'],
    // Google Maps
    [
      'google-maps',
      { status: 200, call: 'GET /maps/api/geocode/json', body: { status: 'OVER_QUERY_LIMIT' } },
      'retry over_query_limit throttled',
    ],
    [
      'google-maps',
      { status: 200, call: 'GET /maps/api/geocode/json', body: { status: 'OVER_DAILY_LIMIT' } },
      'permanent over_daily_limit throttled',
    ],
    [
      'google-maps',
      { status: 200, call: 'GET /maps/api/geocode/json', body: { status: 'UNKNOWN_ERROR' } },
      'retry unknown_error',
    ],
    [
      'google-maps',
      { status: 200, call: 'GET /maps/api/geocode/json', body: { results: [], status: 'ZERO_RESULTS' } },
      'success',
    ],
    // Shopify
    ['shopify', { status: 429, headers: ['Retry-After', '2.0'] }, 'retry call_limit throttled 2000'],
    [
      'shopify',
      {
        status: 200,
        call: 'POST /admin/api/2026-01/graphql.json',
        body: {
          errors: [{ message: 'Throttled', extensions: { code: 'THROTTLED' } }],
          extensions: {
            cost: {
              requestedQueryCost: 752,
              actualQueryCost: null,
              throttleStatus: { maximumAvailable: 1000.0, currentlyAvailable: 652, restoreRate: 50.0 },
            },
          },
        },
      },
      'retry throttled throttled 2000',
    ],
    [
      'shopify',
      {
        status: 200,
        call: 'POST /admin/api/2026-01/graphql.json',
        body: { data: {}, errors: [{ extensions: { code: 'ACCESS_DENIED' } }] },
      },
      'success',
    ],
    // AWS
    [
      'aws',
      { status: 400, headers: ['x-amzn-ErrorType', 'ThrottlingException:http://internal.amazon.com/coral/'] },
      'retry throttled throttled',
    ],
    [
      'aws',
      {
        status: 400,
        body: { __type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException' },
      },
      'retry throttled throttled',
    ],
    [
      'aws',
      { status: 503, body: '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>x</Message></Error>' },
      'retry throttled throttled',
    ],
    [
      'aws',
      { status: 429, headers: ['x-amz-retry-after', '300'], body: { code: 'TooManyRequestsException' } },
      'retry throttled throttled 300',
    ],
    [
      'aws',
      { status: 400, call: 'GET /x', body: '<Error><Code>RequestTimeout</Code></Error>' },
      'retry request_timeout',
    ],
    [
      'aws',
      { status: 400, body: '<Error><Code>RequestTimeout</Code></Error>' },
      'not_idempotent request_timeout',
    ],
    ['aws', { status: 400, body: { __type: 'ValidationException' } }, 'not_retryable'],
    // Google
    [
      'google',
      {
        status: 429,
        call: 'GET /x',
        body: error({
          code: 429,
          status: 'RESOURCE_EXHAUSTED',
          details: [
            { '@type': 'type.googleapis.com/google.rpc.QuotaFailure' },
            { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '37s' },
          ],
        }),
      },
      'retry resource_exhausted throttled 37000',
    ],
    [
      'google',
      { status: 429, body: error({ status: 'RESOURCE_EXHAUSTED' }) },
      'not_idempotent resource_exhausted throttled',
    ],
    [
      'google',
      {
        status: 503,
        call: 'GET /x',
        body: error({ status: 'UNAVAILABLE', details: [{ retryDelay: '1.5s' }] }),
      },
      'retry unavailable 1500',
    ],
    [
      'google',
      { status: 403, call: 'GET /x', body: error({ errors: [{ reason: 'userRateLimitExceeded' }] }) },
      'retry rate_limited throttled',
    ],
    [
      'google',
      { status: 403, call: 'GET /x', body: error({ errors: [{ reason: 'dailyLimitExceeded' }] }) },
      'permanent quota_of_the_day throttled',
    ],
    [
      'google',
      { status: 403, call: 'GET /x', body: error({ errors: [{ reason: 'insufficientPermissions' }] }) },
      'not_retryable',
    ],
    [
      'google',
      { status: 503, call: 'POST /v1beta/models/gemini-2.5-flash:generateContent' },
      'retry unavailable',
    ],
    // Atlassian
    [
      'atlassian',
      {
        status: 429,
        call: 'GET /x',
        headers: ['Retry-After', '12', 'X-RateLimit-Reset', '2026-01-01T00:05Z'],
      },
      'retry rate_limited throttled 12000',
    ],
    [
      'atlassian',
      { status: 429, call: 'GET /x', headers: ['X-RateLimit-Reset', '2026-01-01T00:05Z'] },
      'retry rate_limited throttled 300000',
    ],
    ['atlassian', { status: 503, call: 'GET /x', headers: ['Retry-After', '4'] }, 'retry 4000'],
    // Discord
    [
      'discord',
      { status: 429, body: { message: 'You are being rate limited.', retry_after: 0.65, global: false } },
      'retry route_rate_limit 650',
    ],
    [
      'discord',
      { status: 429, headers: ['Retry-After', '65', 'X-RateLimit-Scope', 'user'] },
      'retry route_rate_limit 65000',
    ],
    [
      'discord',
      { status: 429, headers: ['X-RateLimit-Scope', 'global'], body: { retry_after: 2, global: true } },
      'retry global_rate_limit throttled 2000',
    ],
    ['discord', { status: 403, body: { code: 50001 } }, 'not_retryable'],
  ])('%s %j: %s', (preset, seen, expected) => expect(outcome(preset, seen)).toBe(expected));
});

/** The meaning of an event: of an error, the status, the name and what it means for a POST. */
function meaningOf(preset: string, name: string, data: unknown): string {
  const options = load(preset).config.upstreams[0]?.routes[0]?.settings.stream;
  if (options === undefined) throw new Error(`${preset} has no rules for streams`);
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  const meaning = new EventMatcher(options).meaningOf({ name, data: text }, [], NOW);
  if (typeof meaning === 'string') return meaning;
  const { kind, throttled, name: rule, retryAfterMs } = meaning.classification;
  const parts = [meaning.status, rule, kind, throttled ? 'throttled' : undefined, retryAfterMs];
  return parts.filter((part) => part !== undefined).join(' ');
}

describe('the meaning of events of each API', () => {
  const chunk = (delta: object) => ({
    id: 'c',
    choices: [{ index: 0, delta, finish_reason: null }],
    error: null,
  });
  const failed = (code: string) => ({
    type: 'response.failed',
    response: { status: 'failed', error: { code } },
  });
  const claude = (type: string, more = {}) => ({ type: 'error', error: { type, message: 'm', ...more } });
  const gemini = (code: number, status: string, more = {}) => error({ code, message: 'm', status, ...more });
  const part = (more = {}) => ({ candidates: [{ content: { parts: [{ text: 'a' }] }, ...more }] });

  test.each<[string, string, unknown, string]>([
    // OpenAI, chat
    ['openai', 'message', chunk({ content: 'an "error"' }), 'meaningful'],
    ['openai', 'message', '[DONE]', 'done'],
    ['openai', 'message', error({ type: 'server_error', code: null }), '500 server_error'],
    ['openai', 'error', error({ type: 'server_error', code: null }), '500 server_error'],
    [
      'openai',
      'message',
      error({ type: 'tokens', code: 'rate_limit_exceeded' }),
      '429 rate_limit_exceeded not_processed throttled',
    ],
    [
      'openai',
      'message',
      error({ type: 'insufficient_quota', code: 'insufficient_quota' }),
      '429 unpaid permanent throttled',
    ],
    ['openai', 'message', error({ type: 'invalid_request_error', code: null }), '400 refused permanent'],
    ['openai', 'message', error({ code: 502, message: 'provider' }), '502 error'],
    // OpenAI, responses
    ['openai', 'response.created', { type: 'response.created', response: { error: null } }, 'ignored'],
    ['openai', 'response.in_progress', { response: { error: null } }, 'ignored'],
    ['openai', 'keepalive', { type: 'keepalive' }, 'ignored'],
    ['openai', 'response.output_item.added', { item: { type: 'reasoning' } }, 'meaningful'],
    ['openai', 'response.completed', { response: { error: null } }, 'done'],
    ['openai', 'response.incomplete', { response: { error: null } }, 'done'],
    ['openai', 'response.failed', failed('server_is_overloaded'), '503 overloaded not_processed'],
    ['openai', 'response.failed', failed('slow_down'), '503 overloaded not_processed'],
    [
      'openai',
      'response.failed',
      failed('rate_limit_exceeded'),
      '429 rate_limit_exceeded not_processed throttled',
    ],
    ['openai', 'response.failed', failed('server_error'), '500 server_error'],
    ['openai', 'response.failed', failed('context_length_exceeded'), '400 refused permanent'],
    ['openai', 'response.failed', failed('invalid_prompt'), '400 refused permanent'],
    ['openai', 'response.failed', failed('vector_store_timeout'), '502 error'],
    ['openai', 'error', { type: 'error', code: 'server_error', message: 'm' }, '500 server_error'],
    ['openai', 'error', { type: 'error', code: null, message: 'm' }, '502 error'],
    // Azure OpenAI
    [
      'azure-openai',
      'message',
      error({ code: 'too_many_requests' }),
      '429 rate_limit_exceeded not_processed throttled',
    ],
    ['azure-openai', 'message', error({ code: 'content_filter' }), '400 refused permanent'],
    ['azure-openai', 'message', { choices: [], prompt_filter_results: [{ prompt_index: 0 }] }, 'ignored'],
    ['azure-openai', 'message', chunk({ content: '"prompt_filter_results"' }), 'meaningful'],
    ['azure-openai', 'message', '[DONE]', 'done'],
    // Anthropic
    ['anthropic', 'ping', { type: 'ping' }, 'ignored'],
    ['anthropic', 'message_start', { type: 'message_start' }, 'ignored'],
    ['anthropic', 'content_block_start', { content_block: { type: 'thinking' } }, 'meaningful'],
    ['anthropic', 'content_block_delta', { delta: { text: '{"type":"error","error":{}}' } }, 'meaningful'],
    ['anthropic', 'message_stop', { type: 'message_stop' }, 'done'],
    ['anthropic', 'completion', { completion: 'a', stop_reason: null }, 'meaningful'],
    ['anthropic', 'completion', { completion: '', stop_reason: 'stop_sequence' }, 'done'],
    ['anthropic', 'error', claude('overloaded_error'), '529 overloaded_error not_processed'],
    ['anthropic', 'error', claude('rate_limit_error'), '429 rate_limit_error not_processed throttled'],
    [
      'anthropic',
      'error',
      claude('rate_limit_error', { details: { error_code: 'enforced_spend_limit_reached' } }),
      '429 enforced_spend_limit_reached permanent throttled',
    ],
    ['anthropic', 'error', claude('api_error'), '500 api_error'],
    ['anthropic', 'error', claude('timeout_error'), '504 timeout_error'],
    ['anthropic', 'error', claude('invalid_request_error'), '400 refused permanent'],
    ['anthropic', 'error', claude('a_new_error'), '502 error'],
    // Google
    ['google', 'message', part(), 'meaningful'],
    ['google', 'message', part({ finishReason: 'STOP' }), 'done'],
    ['google', 'message', { promptFeedback: { blockReason: 'SAFETY' } }, 'done'],
    [
      'google',
      'message',
      gemini(429, 'RESOURCE_EXHAUSTED', { details: [{ '@type': 'RetryInfo', retryDelay: '7s' }] }),
      '429 resource_exhausted not_processed throttled 7000',
    ],
    ['google', 'message', gemini(503, 'UNAVAILABLE'), '503 unavailable'],
    ['google', 'message', gemini(500, 'INTERNAL'), '500 internal'],
    ['google', 'message', gemini(504, 'DEADLINE_EXCEEDED'), '504 deadline_exceeded'],
    ['google', 'message', gemini(400, 'INVALID_ARGUMENT'), '400 refused permanent'],
    ['google', 'message', gemini(499, 'CANCELLED'), '502 error'],
  ])('%s, %s %j: %s', (preset, name, data, expected) => {
    expect(meaningOf(preset, name, data)).toBe(expected);
  });

  test('an error in a response with status 200 is found on the route of responses alone', () => {
    const body = { object: 'response', status: 'failed', error: { code: 'server_is_overloaded' } };
    expect(outcome('openai', { status: 200, call: 'POST /v1/responses', body })).toBe(
      'retry response_overloaded',
    );
    expect(outcome('openai', { status: 200, call: 'GET /v1/responses/r1', body })).not.toContain('retry');
    const done = { object: 'response', status: 'completed', error: null };
    expect(outcome('openai', { status: 200, call: 'POST /v1/responses', body: done })).toBe('success');
  });
});

describe('quotas in replies of each API', () => {
  const reading = (bucket: string, remaining: number, limit: number, resetMs: number) => ({
    bucket,
    remaining,
    limit,
    resetMs,
  });

  test.each<[string, readonly string[], readonly object[]]>([
    [
      'openai',
      [
        'x-ratelimit-limit-requests',
        '60',
        'x-ratelimit-remaining-requests',
        '59',
        'x-ratelimit-reset-requests',
        '1s',
        'x-ratelimit-limit-tokens',
        '150000',
        'x-ratelimit-remaining-tokens',
        '149984',
        'x-ratelimit-reset-tokens',
        '6m0s',
      ],
      [reading('requests', 59, 60, 1_000), { ...reading('tokens', 149_984, 150_000, 360_000), unit: 'cost' }],
    ],
    [
      'azure-openai',
      [
        'x-ratelimit-limit-tokens',
        '-1',
        'x-ratelimit-remaining-tokens',
        '-1',
        'x-ratelimit-reset-tokens',
        '0',
        'x-ratelimit-limit-requests',
        '10',
        'x-ratelimit-remaining-requests',
        '9',
        'x-ratelimit-reset-requests',
        '7',
      ],
      [reading('requests', 9, 10, 7_000)],
    ],
    [
      'anthropic',
      [
        'anthropic-ratelimit-requests-limit',
        '50',
        'anthropic-ratelimit-requests-remaining',
        '49',
        'anthropic-ratelimit-requests-reset',
        '2026-01-01T00:00:02Z',

        'anthropic-ratelimit-input-tokens-limit',
        '30000',
        'anthropic-ratelimit-input-tokens-remaining',
        '0',
        'anthropic-ratelimit-input-tokens-reset',
        '2026-01-01T00:01:00Z',
      ],
      [reading('requests', 49, 50, 2_000), { ...reading('input-tokens', 0, 30_000, 60_000), unit: 'cost' }],
    ],
    [
      'github',
      [
        'X-RateLimit-Limit',
        '30',
        'X-RateLimit-Remaining',
        '12',
        'X-RateLimit-Used',
        '18',
        'X-RateLimit-Reset',
        String(NOW / 1000 + 50),
        'X-RateLimit-Resource',
        'search',
      ],
      [{ ...reading('default', 12, 30, 50_000), resource: 'search' }],
    ],
    [
      'shopify',
      ['X-Shopify-Shop-Api-Call-Limit', '32/40'],
      [{ remaining: 8, limit: 40, continuous: true, windowMs: 20_000 }],
    ],
    [
      'atlassian',
      ['X-RateLimit-Limit', '350', 'X-RateLimit-Remaining', '0', 'X-RateLimit-Reset', '2026-01-01T00:02Z'],
      [reading('default', 0, 350, 120_000)],
    ],
    // Fields of the standard are read with every preset.
    ['twilio', ['RateLimit', '"default";r=3;t=9'], [{ remaining: 3, resetMs: 9_000 }]],
  ])('%s', (preset, headers, expected) => {
    const { quota } = routeOf(load(preset), 'POST', '/x').settings;
    const found = quotaReader(quota.formats)(headers, NOW) ?? [];
    expect(found).toHaveLength(expected.length);
    expect(found).toMatchObject(expected);
  });

  test('Discord’s counts are those of single routes', () => {
    expect(routeOf(load('discord'), 'GET', '/x').settings.quota.learn).toBe(false);
  });

  test.each([
    ['openai', 'openai-organization'],
    ['azure-openai', 'api-key'],
    ['anthropic', 'x-api-key'],
    ['google', 'x-goog-api-key'],
    ['shopify', 'x-shopify-access-token'],
    ['github', 'authorization'],
  ])('%s identifies callers by %s', (preset, header) => {
    expect(routeOf(load(preset), 'GET', '/x').settings.quota.credentialHeaders).toContain(header);
  });
});

test('200 with ratelimited is recognised with inspect: all', () => {
  const { settings } = routeOf(load('slack', ', errors: { inspect: all }'), 'POST', '/api/chat.postMessage');
  const head = { status: 200, headers: ['Content-Type', 'application/json; charset=utf-8'] };
  const matcher = new RuleMatcher(settings.errorRules);
  expect(matcher.byHead(head, NOW)).toBe('body');
  expect(matcher.byBody(head, '{"ok":false,"error":"ratelimited"}', NOW)).toMatchObject({
    kind: 'not_processed',
  });
  expect(matcher.byBody(head, '{"ok":true}', NOW)).toBeUndefined();
});

describe.each(Object.entries(PRESETS))('%s', (name, preset) => {
  test('is valid, changes only its own keys, and gives no warnings', () => {
    expect(load(name).warnings).toEqual([]);
  });

  test('has a source for every value, and explain prints it', () => {
    const loaded = load(name);
    for (const route of loaded.config.upstreams[0]?.routes ?? []) {
      const said = routeValues(loaded, route).filter(({ origin }) => origin !== 'built-in');
      expect(said.length).toBeGreaterThan(0);
      for (const { origin } of said)
        expect(origin).toMatch(new RegExp(`^preset ${name} \\(https://\\S+\\)$`));
    }
  });

  test('prints as a file with the same meaning', () => {
    const file = presetFile(name);
    if (!('text' in file)) throw new Error(file.problem);
    const own = load('./own.yaml', '', { 'own.yaml': file.text }).config.upstreams[0]?.routes;
    expect(own).toEqual(load(name).config.upstreams[0]?.routes);
  });

  test('names the source of every key that it has', () => {
    for (const key of Object.keys(preset.sources ?? {})) {
      const value = key
        .split('.')
        .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], preset);
      expect([key, value]).not.toEqual([key, undefined]);
    }
  });
});
