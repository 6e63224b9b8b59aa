import { expect, test } from 'vitest';
import { boundAfter, targetOfNext, whyNoTarget } from '../../../src/durable/bound-target.ts';
import type { FinishedAttempt } from '../../../src/durable/attempt.ts';
import type { NextRequest } from '../../../src/durable/until/next-request.ts';
import type { ReplyClassification } from '../../../src/http/reply.ts';
import { ProxyError } from '../../../src/proxy/errors.ts';
import { stubReply } from '../../support/stub-call.ts';

const request = ({
  method = 'POST',
  key = 'k',
  safe = false,
  onUnknown = 'hold',
  targets = ['a', 'b'],
} = {}) =>
  ({
    job: { method, upstreamKey: key },
    route: {
      options: { onUnknown },
      safe,
      notProcessed: new Set([425, 429, 507]),
      targets: targets.length === 0 ? undefined : new Map(targets.map((name) => [name, {}])),
    },
    before: undefined,
  }) as unknown as NextRequest;

const replied = (status: number, classification?: ReplyClassification): FinishedAttempt['outcome'] => ({
  kind: 'reply',
  reply: { ...stubReply(status), ...(classification && { classification }) },
});

const ruled = (more: Partial<ReplyClassification>): ReplyClassification => ({
  name: undefined,
  kind: undefined,
  throttled: false,
  retryAfterMs: undefined,
  ...more,
});

const failed = (sent: 'sent_unknown' | 'not_sent'): FinishedAttempt['outcome'] => ({
  kind: 'error',
  error: new ProxyError('connection_terminated', 'reset', { sent }),
});

test.each<[string, 'is bound' | 'is not bound', FinishedAttempt['outcome']]>([
  ['no reply', 'is bound', failed('sent_unknown')],
  ['an attempt that was not sent', 'is not bound', failed('not_sent')],
  ['a 503', 'is bound', replied(503)],
  ['a 408', 'is bound', replied(408)],
  ['a 409: the first attempt with the key still runs', 'is bound', replied(409)],
  ['a 425', 'is not bound', replied(425)],
  ['a 429', 'is not bound', replied(429)],
  ['a status of retry.not_processed', 'is not bound', replied(507)],
  ['a 401', 'is not bound', replied(401)],
  [
    'a 503 whose error rule says not processed',
    'is not bound',
    replied(503, ruled({ kind: 'not_processed' })),
  ],
  ['a 503 whose error rule says throttled', 'is not bound', replied(503, ruled({ throttled: true }))],
  [
    'a 503 whose error rule refuses the key',
    'is not bound',
    replied(503, ruled({ kind: 'credential_refused' })),
  ],
])('after %s, a POST %s to its target', (_, bound, outcome) => {
  expect(boundAfter(request(), { outcome, targetName: 'a' })).toBe(bound === 'is bound' ? 'a' : undefined);
});

test.each([
  ['a PUT', { method: 'PUT' }],
  ['a POST of a safe route', { safe: true }],
  ['a POST of a route that accepts the risk', { onUnknown: 'retry' }],
])('%s may go to every target', (_, more) => {
  expect(boundAfter(request(more), { outcome: failed('sent_unknown'), targetName: 'a' })).toBeUndefined();
});

const stateOf = (boundTo: string | undefined) => ({ previousMs: 0, cost: 1, boundTo });
const NONE = boundAfter(request(), { outcome: replied(503), targetName: undefined });

test.each([
  ['may go to every target', undefined, ['a', 'b'], undefined],
  ['goes to the target that it is bound to', 'b', ['a', 'b'], 'b'],
  ['is sent without a target if the upstream had none, and has none', NONE, [], undefined],
  ['is sent without a target if the upstream had none, and has one', NONE, ['a'], undefined],
])('a POST %s', (_, boundTo, targets, target) => {
  expect(whyNoTarget(request({ targets }), stateOf(boundTo), false)).toBeUndefined();
  expect(targetOfNext(request({ targets }), stateOf(boundTo))).toBe(target);
});

test.each([
  ['the target c, which may', 'c', ['a', 'b']],
  ['the target c, which may', 'c', []],
  ['before its upstream had these targets', NONE, ['a', 'b']],
])('no target may get a POST: %s', (why, boundTo, targets) => {
  expect(whyNoTarget(request({ targets }), stateOf(boundTo), false)).toContain(why);
});

test('without a key, a person has decided that a POST is sent again, so every target may get it', () => {
  const keyless = request({ key: null as unknown as string });
  expect(whyNoTarget(keyless, stateOf('c'), false)).toBeUndefined();
  expect(targetOfNext(keyless, stateOf('c'))).toBeUndefined();
});
