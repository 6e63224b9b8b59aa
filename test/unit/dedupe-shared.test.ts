import { expect, test } from 'vitest';
import { MemoryBody } from '../../src/http/bodies/memory-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { RECOGNISED } from '../../src/http/credentials.ts';
import { dedupe } from '../../src/policies/dedupe/policy.ts';
import type { SharedKeys, SharedStanding } from '../../src/policies/dedupe/shared-keys.ts';
import { DedupeStore, type StoredReply } from '../../src/policies/dedupe/store.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settled, stubCall, stubReply, stubUpstream } from '../support/stub-call.ts';

/** The answer of the shared store to each claim, in order. A claim without one waits. */
function world(...standings: (SharedStanding | Promise<SharedStanding>)[]) {
  const clock = new FakeClock();
  const asked: string[] = [];
  const shared: SharedKeys = {
    claim: ({ id }, signal) => {
      asked.push(id);
      const standing = standings.shift();
      if (standing !== undefined) return Promise.resolve(standing);
      return new Promise((_resolve, reject) => signal.on(() => reject(signal.reason)));
    },
  };
  const upstream = stubUpstream();
  const store = new DedupeStore({ windowMs: 60_000, maxReplyBytes: 1_000, memoryBytes: 100_000 }, () =>
    clock.now(),
  );
  const send = dedupe({
    clock,
    shared,
    store,
    secret: Buffer.from('secret'),
    running: new Set(),
    memory: new ByteBudget(100_000),
    maxReplyBytes: 1_000,
    names: RECOGNISED,
    retried: new Set(),
  })(upstream.send);
  const call = (changes = {}) => {
    const one = stubCall({ method: 'POST', idempotencyKey: 'k', keyedByClient: true, ...changes });
    return { ...one, reply: send(one, one.attempt) };
  };
  return { clock, asked, upstream, call };
}

const ended: (StoredReply | undefined)[] = [];
const first = (confirmed = true): SharedStanding => ({
  kind: 'first',
  claim: {
    confirmed,
    end: async (reply) => {
      ended.push(reply);
      return reply;
    },
  },
});

const STORED: StoredReply = { status: 201, statusText: '', headers: [], chunks: [], trailers: [] };

test('a call that is not the first gets the reply of another replica, and its repeat needs no claim', async () => {
  const { asked, call, upstream } = world({ kind: 'stored', reply: STORED, leftMs: 5_000 });
  for (const _ of [1, 2]) expect((await call().reply).status).toBe(201);
  expect([asked.length, upstream.attempts.length]).toEqual([1, 0]);
});

test('the reply of another replica is used for the rest of its time', async () => {
  const { asked, call, clock } = world({ kind: 'stored', reply: STORED, leftMs: 5_000 }, first());
  await call().reply;
  await clock.advance(5_001);
  void call();
  await settled();
  expect(asked.length).toBe(2);
});

test('a call waits for another replica until its deadline, and gets 409', async () => {
  const { call, clock, upstream } = world();
  const { entries, reply } = call({ deadline: 3_000 });
  const failed = reply.catch((error: unknown) => error);
  await settled();
  await clock.advance(3_000);
  expect(await failed).toMatchObject({ code: 'idempotency_key_in_use', retryAfterMs: 1_000 });
  expect([entries, upstream.attempts.length, clock.pending]).toEqual([[['dedupe', 'in_use']], 0, 0]);
});

test('a client that leaves while another replica sends lets the next call of this one ask', async () => {
  const { asked, call, upstream } = world();
  const left = call();
  const failed = left.reply.catch((error: unknown) => error);
  await settled();
  void call().reply.catch(() => undefined);
  await settled();
  expect(asked.length).toBe(1);
  left.signal.abort(new ProxyError('client_gone', 'left'));
  expect(await failed).toMatchObject({ code: 'client_gone' });
  await settled();
  expect([asked.length, upstream.attempts.length]).toEqual([2, 0]);
});

test('another request under the key of another replica gets 422', async () => {
  const { asked, call } = world({ kind: 'other_payload' }, { kind: 'other_payload' });
  for (const _ of [1, 2])
    await expect(call().reply).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  expect(asked.length).toBe(2);
});

test('a call that is sent without the store says so, and its claim ends with its reply', async () => {
  const { call, upstream } = world(first(false));
  const { entries, reply } = call();
  await settled();
  upstream.attempts[0]?.fail(new ProxyError('connection_refused', 'refused'));
  await expect(reply).rejects.toMatchObject({ code: 'connection_refused' });
  expect(entries).toEqual([
    ['dedupe', 'first'],
    ['dedupe_unshared', 'store_away'],
  ]);
  expect(ended.splice(0)).toEqual([undefined]);
});

test('a client that leaves as its key is claimed leaves no claim', async () => {
  const claimed = Promise.withResolvers<SharedStanding>();
  const { call, upstream } = world(claimed.promise);
  const { reply, signal } = call();
  await settled();
  signal.abort(new ProxyError('client_gone', 'left'));
  claimed.resolve(first());
  await expect(reply).rejects.toMatchObject({ code: 'client_gone' });
  expect([ended.splice(0), upstream.attempts.length]).toEqual([[undefined], 0]);
});

test('a reply that does not count, because another replica was first, is not given to repeats', async () => {
  const lost: SharedStanding = { kind: 'first', claim: { confirmed: true, end: async () => undefined } };
  const { asked, call, upstream } = world(lost, { kind: 'stored', reply: STORED, leftMs: 5_000 });
  const { reply } = call();
  await settled();
  upstream.attempts[0]?.answer({ ...stubReply(200), body: new MemoryBody([Buffer.from('late')], []) });
  (await reply).body.discard();
  await settled();
  expect((await call().reply).status).toBe(201);
  expect(asked.length).toBe(2);
});
