import { expect, test } from 'vitest';
import { attemptTimeout } from '../../src/policies/timeouts/attempt-timeout.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, stubCall, stubReply, stubUpstream, through } from '../support/stub-call.ts';

const TIMEOUT_MS = 10_000;

function setUp() {
  const clock = new FakeClock();
  const { send, attempts } = stubUpstream();
  return { clock, attempts, send: sending(through(attemptTimeout(TIMEOUT_MS, clock), send)) };
}

test('ends an attempt without a head after its time, for good', async () => {
  const { clock, attempts, send } = setUp();
  const call = stubCall();
  const pending = send(call);
  pending.catch(() => {});
  await clock.advance(TIMEOUT_MS - 1);
  expect(attempts[0]?.attempt.signal.aborted).toBe(false);
  await clock.advance(1);
  await expect(pending).rejects.toMatchObject({ code: 'attempt_timeout', sent: 'sent_unknown' });
  expect(attempts[0]?.attempt.signal.aborted).toBe(true);
  expect(call.signal.aborted).toBe(false);
  expect([call.signal.listenerCount, clock.pending]).toEqual([0, 0]);
});

test('the head stops the clock; the body may take its time', async () => {
  const { clock, attempts, send } = setUp();
  const call = stubCall();
  const reply = stubReply();
  const pending = send(call);
  await clock.advance(TIMEOUT_MS - 1);
  attempts[0]?.answer(reply);
  expect(await pending).toBe(reply);
  expect(clock.pending).toBe(0);
  await clock.advance(10 * TIMEOUT_MS);
  expect(attempts[0]?.attempt.signal.aborted).toBe(false);
  reply.body.end('complete');
  expect(call.signal.listenerCount).toBe(0);
});

test('a client who leaves before the head ends the attempt with its own reason', async () => {
  const { clock, attempts, send } = setUp();
  const call = stubCall();
  const pending = send(call);
  const gone = new ProxyError('client_gone', 'gone');
  call.signal.abort(gone);
  await expect(pending).rejects.toBe(gone);
  expect(attempts[0]?.attempt.signal.reason).toBe(gone);
  expect([call.signal.listenerCount, clock.pending]).toEqual([0, 0]);
});

test('a client that leaves during the body is still noticed', async () => {
  const { attempts, send } = setUp();
  const call = stubCall();
  const pending = send(call);
  attempts[0]?.answer(stubReply());
  await pending;
  expect(call.signal.listenerCount).toBe(1);
  const gone = new ProxyError('client_gone', 'gone');
  call.signal.abort(gone);
  expect(attempts[0]?.attempt.signal.reason).toBe(gone);
  expect(call.signal.listenerCount).toBe(0);
});

test.each([
  ['fails', new ProxyError('connection_refused', 'refused')],
  ['meets a bug', new TypeError('a bug')],
])('an attempt that %s leaves no timer and no listener', async (_name, error) => {
  const { clock, attempts, send } = setUp();
  const call = stubCall();
  const pending = send(call);
  attempts[0]?.fail(error);
  await expect(pending).rejects.toBe(error);
  expect([call.signal.listenerCount, clock.pending]).toEqual([0, 0]);
});

test('a timeout that is written holds for the last and only attempt too', async () => {
  const { clock, send } = setUp();
  const pending = send(stubCall({ last: true }));
  pending.catch(() => {});
  await clock.advance(TIMEOUT_MS);
  await expect(pending).rejects.toMatchObject({ code: 'attempt_timeout' });
});

test('passes everything but the signal on unchanged', async () => {
  const { attempts, send } = setUp();
  const call = stubCall({ number: 2, method: 'PUT' });
  const pending = send(call);
  expect({ ...attempts[0]?.call, signal: undefined }).toEqual({ ...call, signal: undefined });
  attempts[0]?.answer(stubReply());
  (await pending).body.discard();
});
