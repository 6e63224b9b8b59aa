import { expect, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { fallback } from '../../src/policies/fallback/fallback.ts';
import type { FallbackOptions } from '../../src/policies/fallback/options.ts';
import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, stubCall, stubReply } from '../support/stub-call.ts';

const STATIC: FallbackOptions = { statuses: new Set([503]), to: { status: 200, set: [], body: 'stale' } };

async function outcomeOf(code: ErrorCode | 503, grpc = false): Promise<unknown> {
  const policy = fallback(STATIC, {
    clock: new FakeClock(),
    memory: new ByteBudget(0),
    send: () => Promise.reject(new Error('nothing is sent')),
  });
  const send = policy(() =>
    code === 503 ? Promise.resolve(stubReply(503)) : Promise.reject(new ProxyError(code, 'why')),
  );
  try {
    const { origin, status } = await sending(send)(stubCall(grpc ? { grpc: { deadline: undefined } } : {}));
    return origin ?? status;
  } catch (error) {
    return (error as ProxyError).code;
  }
}

test.each<ErrorCode | 503>([
  503,
  'connection_refused',
  'connection_terminated',
  'attempt_timeout',
  'deadline_exceeded',
  'dns_error',
  'tls_certificate_error',
  'breaker_open',
  'concurrency_limit',
  'quota',
])('%s is a failure that another may answer', async (code) => expect(await outcomeOf(code)).toBe('fallback'));

test.each<ErrorCode>([
  'client_gone',
  'bad_request',
  'request_timeout',
  'idempotency_key_required',
  'egress_denied',
  'client_forbidden',
  'draining',
  'proxy_loop',
  'address_prohibited',
  'body_not_buffered',
])('%s is not', async (code) => expect(await outcomeOf(code)).toBe(code));

test('a call of gRPC gets no text from the configuration', async () =>
  expect([await outcomeOf('breaker_open', true), await outcomeOf(503, true)]).toEqual(['breaker_open', 503]));
