import { describe, expect, test } from 'vitest';
import {
  forbidsRetry,
  furtherAttempt,
  GRPC_STATUSES,
  grpcMessage,
  grpcNumber,
  grpcStatusOf,
  grpcTimeoutMs,
  httpStatusOf,
} from '../../src/http/grpc.ts';
import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import { grpcTrailers } from '../../src/server/grpc-problem.ts';

test('statuses have the numbers and the HTTP statuses of google.rpc.Code', () => {
  expect(GRPC_STATUSES.map((status) => [grpcNumber(status), status, httpStatusOf(status)])).toEqual([
    [1, 'cancelled', 499],
    [2, 'unknown', 500],
    [3, 'invalid_argument', 400],
    [4, 'deadline_exceeded', 504],
    [5, 'not_found', 404],
    [6, 'already_exists', 409],
    [7, 'permission_denied', 403],
    [8, 'resource_exhausted', 429],
    [9, 'failed_precondition', 400],
    [10, 'aborted', 409],
    [11, 'out_of_range', 400],
    [12, 'unimplemented', 501],
    [13, 'internal', 500],
    [14, 'unavailable', 503],
    [15, 'data_loss', 500],
    [16, 'unauthenticated', 401],
  ]);
});

test.each([
  [[], undefined],
  [['grpc-status', '0'], undefined],
  [['Grpc-Status', '14'], 'unavailable'],
  [['grpc-status', '17'], 'unknown'],
  [['grpc-status', '-1'], 'unknown'],
  [['grpc-status', ''], 'unknown'],
  [['grpc-status', 'x'], 'unknown'],
])('%j is %s', (fields, status) => expect(grpcStatusOf(fields)).toBe(status));

test.each([
  ['1S', 1_000],
  ['100m', 100],
  ['2H', 7_200_000],
  ['3M', 180_000],
  ['99999999S', 99_999_999_000],
  ['500u', 0.5],
  ['1000000n', 1],
  ['0m', 0],
  ['100000000S', undefined],
  ['1s', undefined],
  ['-1S', undefined],
  ['1.5S', undefined],
  ['S', undefined],
  ['', undefined],
])('a grpc-timeout of %s is %s ms', (text, ms) => expect(grpcTimeoutMs(['grpc-timeout', text])).toBe(ms));

test.each([
  ['0', false],
  ['1500', false],
  ['-1', true],
  ['', true],
  ['1.5', true],
  ['never', true],
])('a pushback of "%s" forbids a retry: %s', (text, forbids) =>
  expect(forbidsRetry(['grpc-retry-pushback-ms', text])).toBe(forbids),
);

describe('a further attempt', () => {
  const at = { attempt: 3, now: 1_000 };

  test('states the number of earlier attempts, those of the client included', () => {
    expect(furtherAttempt(['x-a', '1'], { deadline: undefined }, at)).toEqual([
      'x-a',
      '1',
      'grpc-previous-rpc-attempts',
      '2',
    ]);
    const headers = ['Grpc-Previous-Rpc-Attempts', '4', 'x-a', '1'];
    expect(furtherAttempt(headers, { deadline: undefined }, at)).toEqual([
      'x-a',
      '1',
      'grpc-previous-rpc-attempts',
      '6',
    ]);
  });

  test.each([
    [2_500, '1500m'],
    [1_000.2, '1m'],
    [500, '1m'],
    [200_001_000, '200000S'],
  ])('states the time left until %d', (deadline, left) =>
    expect(furtherAttempt(['grpc-timeout', '9S'], { deadline }, at)).toEqual([
      'grpc-previous-rpc-attempts',
      '2',
      'grpc-timeout',
      left,
    ]),
  );

  test('leaves an invalid timeout unchanged', () => {
    expect(furtherAttempt(['grpc-timeout', 'x'], { deadline: undefined }, at)).toContain('x');
  });
});

test('a message is printable ASCII, percent-encoded', () =>
  expect(grpcMessage('50% off: "schön"\n\t😀')).toBe('50%25 off: "sch%C3%B6n"%0A%09%F0%9F%98%80'));

test.each<[ErrorCode, string]>([
  ['connection_refused', '14'],
  ['tls_certificate_error', '14'],
  ['breaker_open', '14'],
  ['draining', '14'],
  ['deadline_exceeded', '4'],
  ['attempt_timeout', '4'],
  ['concurrency_limit', '8'],
  ['quota', '8'],
  ['idempotency_key_in_use', '10'],
  ['route_not_found', '12'],
  ['egress_denied', '7'],
  ['client_forbidden', '7'],
])('%s is %s', (code, status) =>
  expect(grpcTrailers(new ProxyError(code, 'why'))).toEqual([
    ['grpc-status', status],
    ['grpc-message', `${code}: why`],
  ]),
);

test('a bug is INTERNAL', () => expect(grpcTrailers(undefined)[0]).toEqual(['grpc-status', '13']));
