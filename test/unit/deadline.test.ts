import { expect, test } from 'vitest';
import { deadline } from '../../src/policies/timeouts/deadline.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { sending, stubCall, stubReply, stubUpstream, through } from '../support/stub-call.ts';

function setUp() {
  const clock = new FakeClock();
  const { send, attempts } = stubUpstream();
  return { clock, attempts, send: sending(through(deadline(clock), send)) };
}

test('ends a call without a head at its deadline, not a timeout after it came in', async () => {
  const { clock, attempts, send } = setUp();
  await clock.advance(400);
  const call = stubCall({ deadline: 1_000 });
  const pending = send(call);
  pending.catch(() => {});
  await clock.advance(599);
  expect(attempts[0]?.attempt.signal.aborted).toBe(false);
  await clock.advance(1);
  await expect(pending).rejects.toMatchObject({ code: 'deadline_exceeded', sent: 'sent_unknown' });
  expect(attempts[0]?.attempt.signal.aborted).toBe(true);
  expect([call.signal.listenerCount, clock.pending]).toEqual([0, 0]);
});

test('the last attempt is bound by it too', async () => {
  const { clock, send } = setUp();
  const pending = send(stubCall({ deadline: 1_000, last: true }));
  pending.catch(() => {});
  await clock.advance(1_000);
  await expect(pending).rejects.toMatchObject({ code: 'deadline_exceeded' });
});

test('after the head it never cuts', async () => {
  const { clock, attempts, send } = setUp();
  const call = stubCall({ deadline: 1_000 });
  const reply = stubReply();
  const pending = send(call);
  await clock.advance(999);
  attempts[0]?.answer(reply);
  expect(await pending).toBe(reply);
  expect(clock.pending).toBe(0);
  await clock.advance(10_000);
  expect(attempts[0]?.attempt.signal.aborted).toBe(false);
  const gone = new ProxyError('client_gone', 'gone');
  call.signal.abort(gone);
  expect(attempts[0]?.attempt.signal.reason).toBe(gone);
});

test('the end of the body leaves nothing behind', async () => {
  const { clock, attempts, send } = setUp();
  const call = stubCall();
  const pending = send(call);
  attempts[0]?.answer(stubReply());
  const reply = await pending;
  expect(call.signal.listenerCount).toBe(1);
  reply.body.discard();
  expect([call.signal.listenerCount, clock.pending]).toEqual([0, 0]);
});

test('a deadline that has passed: nothing is sent', async () => {
  const { clock, attempts, send } = setUp();
  await clock.advance(1_000);
  await expect(send(stubCall({ deadline: 1_000 }))).rejects.toMatchObject({
    code: 'deadline_exceeded',
    sent: 'not_sent',
  });
  expect(attempts).toHaveLength(0);
});

test('without a deadline the call is passed on as it is', async () => {
  const { clock, attempts, send } = setUp();
  const call = stubCall({ deadline: Infinity });
  const pending = send(call);
  expect(attempts[0]?.call).toBe(call);
  expect(clock.pending).toBe(0);
  attempts[0]?.answer(stubReply());
  (await pending).body.discard();
});
