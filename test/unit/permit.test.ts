import { expect, test } from 'vitest';
import { ConcurrencyLimit, type Evidence } from '../../src/policies/concurrency/limit.ts';
import { Permit, Permits, permitQueue } from '../../src/policies/concurrency/permits.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settled, stubCall } from '../support/stub-call.ts';

/** The permit of one attempt, which a slow upload lends and regains. */

function setUp(max: number, mode: 'fixed' | 'adaptive' = 'fixed') {
  const clock = new FakeClock();
  const options = { mode, min: 1, max, queue: 4, waitMs: 100, latencyCeilingMs: 60 };
  const limit = new ConcurrencyLimit(options);
  const queue = permitQueue(options.queue);
  const permits = new Permits(limit, { queue, waitMs: options.waitMs, clock });
  const take = (changes: Parameters<typeof stubCall>[0] = {}) => {
    const call = stubCall(changes);
    expect(permits.acquire(call, call.attempt, false)).toBeUndefined();
    return { call, permit: new Permit(permits, call, call.attempt, clock) };
  };
  return { clock, limit, permits, queue, take };
}

/** The limit after two attempts that were lent for a long time, and then ended as `evidence`. */
async function limitAfter(evidence: Evidence, afterMs: number): Promise<number> {
  const { clock, limit, take } = setUp(8, 'adaptive');
  const all = Array.from({ length: 8 }, () => take().permit);
  await clock.advance(2_000);
  for (const permit of all) permit.lend();
  expect(limit.limit).toBe(8);
  await clock.advance(10_000);
  for (const permit of all) await permit.regain();
  await clock.advance(afterMs);
  for (const permit of all) permit.answered();
  for (const permit of all) permit.release(evidence);
  return limit.limit;
}

test('the time before a permit is regained is not the latency of the upstream', async () => {
  expect([await limitAfter('success', 10), await limitAfter('success', 61)]).toEqual([8, 7]);
});

test('a permit that arrives when it is no longer needed is passed on', async () => {
  const { limit, permits, queue, take } = setUp(1);
  const { permit } = take();
  permit.lend();
  const other = take().permit;
  const regained = permit.regain();
  const third = stubCall();
  const admitted = permits.acquire(third, third.attempt, false);
  expect(queue.size).toBe(2);
  // The upload gets the permit, and its attempt ends at the same moment.
  other.release('success');
  permit.release('ignored');
  await regained;
  await admitted;
  expect([limit.inFlight, queue.size]).toEqual([1, 0]);
});

test('a regained permit is lent again only once, and released once', async () => {
  const { limit, take } = setUp(2);
  const { permit } = take();
  for (let i = 0; i < 2; i++) permit.lend();
  expect(limit.inFlight).toBe(0);
  await permit.regain();
  await permit.regain();
  expect(limit.inFlight).toBe(1);
  for (let i = 0; i < 2; i++) permit.release('success');
  expect(limit.inFlight).toBe(0);
});

test('an upload waits for its permit for the whole time, whatever its deadline, and before calls that came first', async () => {
  const { clock, permits, take } = setUp(1);
  const { call, permit } = take({ deadline: 200 });
  permit.lend();
  const other = take().permit;
  const early = stubCall();
  const waiting = permits.acquire(early, early.attempt, false);
  const regained = permit.regain();
  await clock.advance(99);
  let order = '';
  void waiting?.then(() => (order += 'new'));
  void regained.then(() => (order += 'again '));
  other.release('success');
  await settled();
  permit.release('success');
  await settled();
  expect(order).toBe('again new');
  expect(call.signal.listenerCount).toBe(0);
});

test('an upload that is refused, or whose client has left, may have been processed', async () => {
  const { clock, take } = setUp(1);
  const { permit, call } = take();
  permit.lend();
  take();
  const refused = permit.regain();
  refused.catch(() => undefined);
  await clock.advance(100);
  await expect(refused).rejects.toMatchObject({ code: 'concurrency_limit', sent: 'sent_unknown' });
  const gone = new ProxyError('client_gone', 'left');
  call.signal.abort(gone);
  await expect(permit.regain()).rejects.toBe(gone);
});

test('an upload of a low call regains its permit before new high calls, so that what it sent is not wasted', async () => {
  const { permits, take } = setUp(1);
  const { permit } = take({ priority: 'low' });
  permit.lend();
  const other = take().permit;
  const order: string[] = [];
  const high = stubCall({ priority: 'high' });
  const admitted = permits.acquire(high, high.attempt, false)?.then(() => order.push('high'));
  const regained = permit.regain().then(() => order.push('upload'));
  other.release('success');
  await regained;
  permit.release('success');
  await admitted;
  expect(order).toEqual(['upload', 'high']);
});
