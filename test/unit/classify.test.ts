import { describe, expect, test } from 'vitest';
import { GRPC_STATUSES, type GrpcStatus, httpStatusOf } from '../../src/http/grpc.ts';
import type { ReplyClassification } from '../../src/http/reply.ts';
import {
  type ClassifiedCall as Classified,
  type ClassifiedOutcome,
  classify as classifyAttempt,
  isSuccess,
  type RetryDecision,
} from '../../src/policies/retry/classify.ts';
import { type ErrorCode, ProxyError, type Sent } from '../../src/proxy/errors.ts';

const options = {
  statuses: new Set([408, 425, 429, 500, 502, 503, 504, 529]),
  notProcessed: new Set<number>(),
  vetoHeaders: ['x-should-retry', 'stripe-should-retry'],
  grpcStatuses: new Set<GrpcStatus>(),
};
type ClassifiedCall = Classified & { readonly attempt: number };

function classify(
  outcome: ClassifiedOutcome,
  { attempt, ...facts }: ClassifiedCall,
  rules: Parameters<typeof classifyAttempt>[2],
): RetryDecision {
  return classifyAttempt(outcome, facts, rules, attempt);
}

const call = (method: string, facts: Partial<ClassifiedCall> = {}): ClassifiedCall => ({
  method,
  idempotencyKey: undefined,
  attempt: 1,
  ...facts,
});
const keyed = (method: string, attempt = 1) => call(method, { idempotencyKey: 'k-1', attempt });
const reply = (status: number, ...headers: string[]) => ({
  kind: 'reply' as const,
  reply: { status, headers },
});
const failure = (code: ErrorCode, sent: Sent) => ({
  kind: 'error' as const,
  error: new ProxyError(code, 'it failed', { sent }),
});

/** 'yes', or why not. */
const word = (decision: RetryDecision) => (decision.retry === 'yes' ? 'yes' : decision.because);
const onReply = (status: number, to: ClassifiedCall, ...headers: string[]) =>
  word(classify(reply(status, ...headers), to, options));

const READS = ['GET', 'HEAD'];
const IDEMPOTENT = [...READS, 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY'];
const OTHERS = ['POST', 'PATCH', 'CONNECT', 'LOCK', 'MKCOL', 'get', 'Put', ''];

const NOT_SENT: readonly ErrorCode[] = [
  'dns_error',
  'dns_timeout',
  'connect_timeout',
  'connection_refused',
  'connection_failed',
  'tls_certificate_error',
  'tls_protocol_error',
  'connection_terminated', // REFUSED_STREAM, GOAWAY, a closed pool
  'attempt_timeout', // still waiting for a connection
];
const SENT_UNKNOWN: readonly ErrorCode[] = [
  'connection_terminated',
  'attempt_timeout',
  'response_incomplete',
  'protocol_error',
];
const ANSWERED = [408, 425, 429, 502, 503, 504, 529];

describe('not sent: any method, free of charge', () => {
  for (const code of NOT_SENT) {
    for (const to of [...IDEMPOTENT, ...OTHERS].flatMap((method) => [call(method), keyed(method)])) {
      test(`${code}, ${to.method}${to.idempotencyKey === undefined ? '' : ' with a key'}`, () =>
        expect(classify(failure(code, 'not_sent'), to, options)).toEqual({
          retry: 'yes',
          transparent: true,
          overloaded: false,
          reason: code,
        }));
    }
  }
});

describe('sent, fate unknown: the method decides, or a key', () => {
  for (const code of SENT_UNKNOWN) {
    const yes = { retry: 'yes', transparent: false, overloaded: false, reason: code };
    const classified = (to: ClassifiedCall) => classify(failure(code, 'sent_unknown'), to, options);
    test.each(IDEMPOTENT)(`${code}, %s: yes`, (method) => expect(classified(call(method))).toEqual(yes));
    test.each(OTHERS)(`${code}, %s: no`, (method) =>
      expect(word(classified(call(method)))).toBe('not_idempotent'),
    );
    test.each(OTHERS)(`${code}, %s with a key: yes`, (method) =>
      expect(classified(keyed(method))).toEqual(yes),
    );
  }
});

describe('answered with a status that passes', () => {
  for (const status of ANSWERED) {
    const yes = {
      retry: 'yes',
      transparent: false,
      overloaded: status === 429 || status === 503 || status === 529,
      reason: `status_${status}`,
    };
    const classified = (to: ClassifiedCall) => classify(reply(status), to, options);
    test.each(IDEMPOTENT)(`${status}, %s: yes`, (method) => expect(classified(call(method))).toEqual(yes));
    test.each(OTHERS)(`${status}, %s: no`, (method) =>
      expect(word(classified(call(method)))).toBe('not_idempotent'),
    );
    test.each(OTHERS)(`${status}, %s with a key: yes`, (method) =>
      expect(classified(keyed(method))).toEqual(yes),
    );
    test.each(OTHERS)(`${status}, %s where it means "not processed": yes`, (method) =>
      expect(classify(reply(status), call(method), { ...options, notProcessed: new Set([status]) })).toEqual(
        yes,
      ),
    );
  }

  test('a status outside the list is not retried', () => {
    const none = { ...options, statuses: new Set<number>() };
    for (const status of [...ANSWERED, 500]) {
      for (const method of [...IDEMPOTENT, ...OTHERS]) {
        expect(word(classify(reply(status), keyed(method), none)), `${status} ${method}`).toBe(
          'not_retryable',
        );
      }
    }
  });

  test('a status that the route adds follows the method rule', () => {
    const more = { ...options, statuses: new Set([404, 420]) };
    expect(classify(reply(404), call('GET'), more)).toMatchObject({ retry: 'yes', reason: 'status_404' });
    expect(word(classify(reply(420), call('POST'), more))).toBe('not_idempotent');
    expect(word(classify(reply(420), keyed('POST'), more))).toBe('yes');
  });

  test('"not processed" alone is enough', () => {
    const twilio = { ...options, statuses: new Set<number>(), notProcessed: new Set([429, 500]) };
    expect(word(classify(reply(429), call('POST'), twilio))).toBe('yes');
    expect(word(classify(reply(500), call('POST'), twilio))).toBe('yes');
    expect(word(classify(reply(503), call('POST'), twilio))).toBe('not_retryable');
  });
});

describe('answered 500', () => {
  test.each(READS)('%s: yes', (method) =>
    expect(classify(reply(500), call(method), options)).toEqual({
      retry: 'yes',
      transparent: false,
      overloaded: false,
      reason: 'status_500',
    }),
  );
  test.each([...IDEMPOTENT.slice(2), ...OTHERS])('%s: no, with or without a key', (method) => {
    expect(onReply(500, call(method))).toBe('not_retryable');
    expect(onReply(500, keyed(method))).toBe('not_retryable');
  });
});

test.each([...IDEMPOTENT, ...OTHERS])('answered 421, %s: yes, on another connection', (method) => {
  expect(classify(reply(421), call(method), { ...options, statuses: new Set() })).toEqual({
    retry: 'yes',
    transparent: false,
    overloaded: false,
    reason: 'status_421',
  });
  expect(onReply(421, keyed(method))).toBe('yes');
});

describe('answered 409', () => {
  test('on a retry with a key the first attempt still runs: yes', () => {
    expect(onReply(409, keyed('POST', 2))).toBe('yes');
    expect(onReply(409, keyed('PATCH', 3))).toBe('yes');
  });
  test('on the first attempt, or without a key: no', () => {
    expect(onReply(409, keyed('POST', 1))).toBe('not_retryable');
    expect(onReply(409, call('POST', { attempt: 2 }))).toBe('not_retryable');
    expect(onReply(409, call('PUT', { attempt: 2 }))).toBe('not_retryable');
  });
});

describe('anything else', () => {
  const REST = [
    400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 422, 423, 424,
  ];
  const LATER = [
    426, 428, 431, 451, 501, 505, 506, 507, 508, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 599,
  ];

  test.each([...REST, ...LATER])('%d: no', (status) => {
    for (const method of [...IDEMPOTENT, ...OTHERS]) {
      expect(onReply(status, call(method))).toBe('not_retryable');
      expect(onReply(status, keyed(method))).toBe('not_retryable');
    }
  });

  test.each([101, 200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 399])('%d: a success', (status) => {
    expect(onReply(status, call('GET'))).toBe('success');
    expect(onReply(status, call('POST'))).toBe('success');
    expect(onReply(status, call('GET'), 'x-should-retry', 'true')).toBe('success');
  });

  test('a success costs no memory: it is always the same decision', () => {
    expect(classify(reply(200), call('GET'), options)).toBe(classify(reply(302), call('POST'), options));
  });
});

describe("the upstream's own word", () => {
  const VETOES = [
    ['x-should-retry', 'false'],
    ['X-Should-Retry', ' False '],
    ['Stripe-Should-Retry', 'false'],
  ] as const;

  test.each(VETOES)('%s: %s is a veto on all that would be retried', (name, value) => {
    for (const status of [...ANSWERED, 500, 421])
      expect(onReply(status, call('GET'), name, value), `${status}`).toBe('veto');
    for (const status of [...ANSWERED, 421])
      expect(onReply(status, keyed('POST'), name, value), `${status}`).toBe('veto');
    expect(onReply(409, keyed('POST', 2), name, value)).toBe('veto');
    const twilio = { ...options, notProcessed: new Set([429]) };
    expect(word(classify(reply(429, name, value), call('POST'), twilio))).toBe('veto');
  });

  test.each(VETOES)('%s: %s on statuses that are never retried changes nothing', (name, value) => {
    expect(onReply(402, call('POST'), name, value)).toBe('not_retryable');
    expect(onReply(500, call('POST'), name, value)).toBe('not_retryable');
    expect(onReply(200, call('GET'), name, value)).toBe('success');
  });

  test('x-should-retry: true makes any status from 400 up worth it, within the method rule', () => {
    for (const status of [400, 404, 409, 418, 500, 501, 503, 599]) {
      for (const method of IDEMPOTENT)
        expect(onReply(status, call(method), 'X-Should-Retry', 'true')).toBe('yes');
      for (const method of OTHERS) {
        expect(onReply(status, call(method), 'X-Should-Retry', 'TRUE')).toBe('not_idempotent');
        expect(onReply(status, keyed(method), 'X-Should-Retry', 'true')).toBe('yes');
      }
    }
  });

  test('no beats yes, and other words mean nothing', () => {
    expect(onReply(503, call('GET'), 'x-should-retry', 'true', 'stripe-should-retry', 'false')).toBe('veto');
    expect(onReply(503, call('GET'), 'x-should-retry', 'maybe')).toBe('yes');
    expect(onReply(404, call('GET'), 'x-should-retry', '1')).toBe('not_retryable');
    expect(onReply(404, call('GET'), 'stripe-should-retry', 'true')).toBe('yes');
  });
});

describe('not the upstream', () => {
  const OURS: readonly ErrorCode[] = [
    'bad_request',
    'route_not_found',
    'idempotency_key_required',
    'breaker_open',
    'concurrency_limit',
    'draining',
    'proxy_loop',
    'address_prohibited',
    'out_of_sockets',
  ];
  test.each(OURS)('%s is our own no', (code) => {
    for (const sent of ['not_sent', 'sent_unknown'] as const) {
      expect(word(classify(failure(code, sent), call('GET'), options))).toBe('rejected');
    }
  });
  test.each(['not_sent', 'sent_unknown'] as const)(
    'no retry for a client that has left, or after the deadline (%s)',
    (sent) => {
      expect(word(classify(failure('client_gone', sent), call('GET'), options))).toBe('client_gone');
      expect(word(classify(failure('deadline_exceeded', sent), call('GET'), options))).toBe('not_retryable');
    },
  );
});

describe('outcomes that earn a token', () => {
  const pays = (outcome: Parameters<typeof classify>[0], to = call('GET'), given = options) =>
    isSuccess(outcome, classify(outcome, to, given));

  test.each([200, 204, 304, 307, 400, 401, 404, 409, 410, 422, 451])('%d does', (status) =>
    expect(pays(reply(status))).toBe(true),
  );
  test.each([408, 421, 425, 429, 500, 501, 502, 503, 504, 507, 520, 529, 599])('%d does not', (status) => {
    const none = { ...options, statuses: new Set<number>() };
    expect(pays(reply(status))).toBe(false);
    expect(pays(reply(status), call('POST'))).toBe(false);
    expect(pays(reply(status), call('GET'), none)).toBe(false);
    expect(pays(reply(status, 'x-should-retry', 'false'))).toBe(false);
  });

  test('a failure that is retried earns no token, nor one that only the method or a veto excludes', () => {
    const more = { ...options, statuses: new Set([404]) };
    expect(pays(reply(404), call('GET'), more)).toBe(false);
    expect(pays(reply(404), call('POST'), more)).toBe(false);
    expect(pays(reply(404, 'x-should-retry', 'false'), call('GET'), more)).toBe(false);
    expect(pays(reply(404, 'x-should-retry', 'true'))).toBe(false);
    expect(pays(reply(409), keyed('POST', 2))).toBe(false);
  });

  test('no reply, no payment', () => {
    for (const code of [
      'connection_terminated',
      'breaker_open',
      'client_gone',
      'deadline_exceeded',
    ] as const) {
      expect(pays(failure(code, 'sent_unknown'))).toBe(false);
      expect(pays(failure(code, 'not_sent'))).toBe(false);
    }
  });
});

describe('an error of gRPC without a message before it', () => {
  const grpc = (name: GrpcStatus, ...headers: string[]) => ({
    kind: 'reply' as const,
    reply: { status: httpStatusOf(name), headers, grpc: name },
  });
  const more = { ...options, grpcStatuses: new Set<GrpcStatus>(['unavailable', 'aborted']) };

  test('is retried if the route lists it, also for POST', () => {
    expect(classify(grpc('unavailable'), call('POST'), more)).toEqual({
      retry: 'yes',
      transparent: false,
      overloaded: true,
      reason: 'grpc_unavailable',
    });
    expect(classify(grpc('aborted'), call('POST'), more)).toMatchObject({
      overloaded: false,
      reason: 'grpc_aborted',
    });
    expect(word(classify(grpc('internal'), call('POST'), more))).toBe('not_retryable');
    expect(word(classify(grpc('unauthenticated'), call('POST'), more))).toBe('not_retryable');
  });

  test('is classified by the equivalent status if it is not listed', () => {
    expect(word(classify(grpc('unavailable'), call('POST'), options))).toBe('not_idempotent');
    expect(word(classify(grpc('unavailable'), keyed('POST'), options))).toBe('yes');
    expect(word(classify(grpc('not_found'), keyed('POST'), options))).toBe('not_retryable');
  });

  test('is not retried against its pushback', () => {
    const pushback = ['grpc-retry-pushback-ms', '-1'];
    expect(word(classify(grpc('unavailable', ...pushback), call('POST'), more))).toBe('veto');
    expect(word(classify(reply(503, ...pushback), call('GET'), more))).toBe('yes');
  });

  test('earns a token only if it is an answer, and never if it is retried', () => {
    const pays = (name: GrpcStatus) => isSuccess(grpc(name), classify(grpc(name), call('POST'), more));
    const paying = ['cancelled', 'invalid_argument', 'not_found', 'already_exists', 'permission_denied'];
    expect(GRPC_STATUSES.filter(pays)).toEqual([
      ...paying,
      'failed_precondition',
      'out_of_range',
      'unauthenticated',
    ]);
  });
});

describe('classifications by error rules', () => {
  const classified = (
    status: number,
    classification: Partial<ReplyClassification>,
    ...headers: string[]
  ) => ({
    kind: 'reply' as const,
    reply: {
      status,
      headers,
      classification: {
        name: undefined,
        kind: undefined,
        throttled: false,
        retryAfterMs: undefined,
        ...classification,
      },
    },
  });
  const decisionOn = (outcome: ReturnType<typeof classified>, to = call('GET')) =>
    word(classify(outcome, to, options));

  test('permanent is never retried, even if the upstream asks for a retry', () => {
    expect(decisionOn(classified(503, { kind: 'permanent' }))).toBe('permanent');
    expect(decisionOn(classified(429, { kind: 'permanent' }, 'x-should-retry', 'true'), keyed('POST'))).toBe(
      'permanent',
    );
  });

  test('a refused credential is not sent again, whatever its status and the method', () => {
    for (const code of [200, 403, 429, 503])
      expect(decisionOn(classified(code, { kind: 'credential_refused' }))).toBe('permanent');
  });

  test('not processed allows a retry of every call with any status, except for a veto', () => {
    expect(decisionOn(classified(403, { kind: 'not_processed' }), call('POST'))).toBe('yes');
    expect(decisionOn(classified(200, { kind: 'not_processed' }), call('POST'))).toBe('yes');
    expect(
      decisionOn(classified(403, { kind: 'not_processed' }, 'x-should-retry', 'false'), call('POST')),
    ).toBe('veto');
  });

  test('retry and in progress follow the method rule', () => {
    for (const kind of ['retry', 'in_progress'] as const) {
      expect(decisionOn(classified(400, { kind }))).toBe('yes');
      expect(decisionOn(classified(400, { kind }), keyed('POST'))).toBe('yes');
      expect(decisionOn(classified(400, { kind }), call('POST'))).toBe('not_idempotent');
    }
  });

  test('throttled waits longer, and its status decides', () => {
    expect(classify(classified(500, { throttled: true }), call('GET'), options)).toMatchObject({
      overloaded: true,
    });
    expect(decisionOn(classified(403, { throttled: true }))).toBe('not_retryable');
    expect(decisionOn(classified(200, { throttled: true }))).toBe('success');
  });

  test('none of them pays into the budget', () => {
    for (const classification of [
      { kind: 'permanent' },
      { kind: 'not_processed' },
      { kind: 'credential_refused' },
      { throttled: true },
    ] as const) {
      const outcome = classified(403, classification);
      expect(isSuccess(outcome, classify(outcome, call('GET'), options))).toBe(false);
    }
  });
});

describe('a call that changes nothing', () => {
  const safe = call('POST', { safe: true });

  test('is sent again like a GET', () => {
    expect(word(classify(failure('connection_terminated', 'sent_unknown'), safe, options))).toBe('yes');
    expect(onReply(500, safe)).toBe('yes');
    expect(onReply(503, safe)).toBe('yes');
    expect(onReply(400, safe)).toBe('not_retryable');
  });

  test('unless it is a handshake', () => {
    expect(onReply(503, { ...safe, upgrade: 'websocket' })).toBe('not_idempotent');
  });
});
