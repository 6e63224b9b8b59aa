import { expect, test, vi } from 'vitest';
import { LEASE_MS } from '../../src/fleet/claims.ts';
import { SharedValues } from '../../src/app/shared-values.ts';
import { MOST_REPLY_BYTES } from '../../src/app/shared-replies.ts';
import type { SharedClaim, SharedStanding } from '../../src/policies/dedupe/shared-keys.ts';
import type { StoredReply } from '../../src/policies/dedupe/store.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { settled } from '../support/stub-call.ts';

const HOUR_MS = 3_600_000;
const SCOPE = { windowMs: HOUR_MS, forget: () => undefined };
const KEY = { id: 'key', payload: 'order 1' };
const SECRET = 'a secret of the whole fleet';

const replyOf = (text: string): StoredReply => ({
  status: 201,
  statusText: 'Created',
  headers: ['X-Name', 'caf\u00e9'],
  chunks: [Buffer.from(text), Buffer.from([0, 255])],
  trailers: [['x-sum', '7']],
});

/** Status, headers and bytes. */
const shown = ({ chunks, ...head }: StoredReply) => ({
  ...head,
  bytes: Buffer.concat(chunks).toString('hex'),
});

/** A replica on its own connection. */
class Replica {
  readonly world: EngineWorld;
  readonly values: SharedValues;
  /** Ids whose replies do not count any more. */
  readonly forgotten: string[] = [];
  readonly #keys;

  constructor(other?: EngineWorld, secret = SECRET) {
    this.world = new EngineWorld(other);
    this.values = new SharedValues(secret, {
      clock: this.world.clock,
      fleet: this.world.fleet(),
      onLate: () => undefined,
    });
    this.#keys = this.values.repliesOf('api', 'https://api.example', {
      windowMs: HOUR_MS,
      forget: (id) => this.forgotten.push(id),
    }).keys;
  }

  async started(): Promise<this> {
    const started = this.values.start();
    await this.pass(5);
    await started;
    return this;
  }

  claim(identity = KEY, signal = new Abort()): Promise<SharedStanding> {
    return this.#keys.claim(identity, signal);
  }

  /** A claim that is the first. */
  async first(identity = KEY): Promise<SharedClaim> {
    const found = await this.after(5, this.claim(identity));
    if (found.kind !== 'first') throw new Error(`it is ${found.kind}`);
    return found.claim;
  }

  /** Lets `ms` pass, after all code has begun its wait. */
  async pass(ms: number): Promise<void> {
    await settled();
    await this.world.clock.advance(ms);
    await settled();
  }

  async after<T>(ms: number, result: Promise<T>): Promise<T> {
    await this.pass(ms);
    return result;
  }

  get counts() {
    return this.values.snapshot()?.counts.reply;
  }
}

async function replicas(): Promise<[Replica, Replica]> {
  const one = await new Replica().started();
  return [one, await new Replica(one.world).started()];
}

/** The state of a promise, without waiting. */
async function stateOf(result: Promise<SharedStanding>): Promise<string> {
  let state = 'waits';
  void result.then(({ kind }) => (state = kind));
  await settled();
  return state;
}

test('a replica waits while another sends an equal request, and gets its reply', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  expect(claim.confirmed).toBe(true);
  const waiting = two.claim();
  await two.pass(20_000);
  expect(await stateOf(waiting)).toBe('waits');
  const ended = claim.end(replyOf('done'));
  // The news takes a few messages of a millisecond each.
  const found = await two.after(8, waiting);
  expect(await ended).toEqual(replyOf('done'));
  if (found.kind !== 'stored') throw new Error(found.kind);
  expect(shown(found.reply)).toEqual(shown(replyOf('done')));
  expect(found.leftMs).toBeGreaterThan(HOUR_MS - 100);
  expect([one.counts, two.counts]).toEqual([{ written: 1 }, { read: 1 }]);
});

test('it gets the reply within a second if the news of it is lost', async () => {
  const [one, two] = await replicas();
  vi.spyOn(one.world.store, 'publish').mockImplementation(() => undefined);
  const claim = await one.first();
  const waiting = two.claim();
  await two.pass(5_000);
  void claim.end(replyOf('done'));
  await two.pass(20);
  expect(await stateOf(waiting)).toBe('waits');
  expect((await two.after(1_000, waiting)).kind).toBe('stored');
});

test('the same key for another request is refused, while the first runs and after it', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  const other = () => two.after(5, two.claim({ ...KEY, payload: 'order 2' }));
  expect((await other()).kind).toBe('other_payload');
  await one.after(5, claim.end(replyOf('done')));
  expect((await other()).kind).toBe('other_payload');
});

test('a request without a reply to store lets the next replica send at once', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  const waiting = two.claim();
  await two.pass(10);
  void claim.end(undefined);
  expect((await two.after(8, waiting)).kind).toBe('first');
});

test('a reply that is too large stays in its replica', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  const large = replyOf('x'.repeat(MOST_REPLY_BYTES));
  expect(await one.after(5, claim.end(large))).toBe(large);
  expect((await two.after(5, two.claim())).kind).toBe('first');
  expect(one.counts).toEqual({ too_large: 1 });
});

test('a replica that is gone is waited for until its lease ends; its late reply does not replace the other', async () => {
  const [one, two] = await replicas();
  const third = await new Replica(one.world).started();
  const claim = await one.first();
  await one.pass(10_000);
  one.world.cut();
  const waiting = two.claim();
  await two.pass(LEASE_MS - 1_600);
  expect(await stateOf(waiting)).toBe('waits');
  const found = await two.after(1_700, waiting);
  if (found.kind !== 'first') throw new Error(found.kind);
  one.world.gone = false;
  await one.pass(5_000);
  expect(await one.after(5, claim.end(replyOf('late')))).toBeUndefined();
  await two.after(5, found.claim.end(replyOf('second')));
  const read = await third.after(5, third.claim());
  expect(read.kind === 'stored' && shown(read.reply)).toEqual(shown(replyOf('second')));
  expect(one.counts).toEqual({ lost: 1 });
});

test('a reply that comes after the lease, when no other has taken the key, is stored', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  one.world.cut();
  await one.pass(20_000);
  one.world.gone = false;
  await one.pass(1_000);
  await one.after(5, claim.end(replyOf('done')));
  expect((await two.after(5, two.claim())).kind).toBe('stored');
});

test('a store that loses its data during the request gets the claim again', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  one.world.store.flush();
  await one.pass(1_600);
  const waiting = two.claim();
  await two.pass(3_000);
  expect(await stateOf(waiting)).toBe('waits');
  void claim.end(replyOf('done'));
  expect((await two.after(1_010, waiting)).kind).toBe('stored');
});

test('a claim that ends while it is written again leaves its reply', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  one.world.store.flush();
  one.world.delayMs = 20;
  // The renewal asks, will find nothing, and take the key again.
  await one.pass(1_505);
  await one.after(100, claim.end(replyOf('done')));
  expect((await two.after(5, two.claim())).kind).toBe('stored');
});

test('without the store each replica sends; replies are written when it is back, and the first one counts', async () => {
  const [one, two] = await replicas();
  const third = await new Replica(one.world).started();
  for (const { world } of [one, two]) world.cut();
  const [first, second] = [await one.first(), await two.first()];
  expect([first.confirmed, second.confirmed]).toEqual([false, false]);
  const endedAt = one.world.clock.now();
  expect(await first.end(replyOf('one'))).toEqual(replyOf('one'));
  expect(await second.end(replyOf('two'))).toEqual(replyOf('two'));
  one.world.gone = false;
  await one.pass(2_000);
  two.world.gone = false;
  await two.pass(2_000);
  const found = await third.after(5, third.claim());
  expect(found.kind === 'stored' && shown(found.reply)).toEqual(shown(replyOf('one')));
  const leftMs = HOUR_MS - (one.world.clock.now() - endedAt);
  expect(Math.round(((found.kind === 'stored' && found.leftMs) || 0) - leftMs)).toBeLessThan(10);
  expect([one.counts, two.counts]).toEqual([{ late: 1 }, { lost: 1 }]);
  expect([one.forgotten, two.forgotten]).toEqual([[], ['key']]);
});

test('a claim that was made without the store is written when it is back', async () => {
  const [one, two] = await replicas();
  one.world.cut();
  const claim = await one.first();
  one.world.gone = false;
  await one.pass(5_000);
  expect(claim.confirmed).toBe(true);
  const waiting = two.claim();
  await two.pass(1_000);
  expect(await stateOf(waiting)).toBe('waits');
});

test('one late answer of the store does not leave other keys unclaimed', async () => {
  const [one] = await replicas();
  one.world.delayMs = 200;
  void one.claim({ ...KEY, id: 'other' });
  await one.pass(51);
  one.world.delayMs = 5;
  expect(one.values.snapshot()?.away).toBe('slow');
  expect((await one.first()).confirmed).toBe(true);
});

test('a slow store delays a request by 50 ms at most', async () => {
  const [one] = await replicas();
  one.world.delayMs = 200;
  const found = await one.after(50, one.claim());
  expect(found.kind === 'first' && found.claim.confirmed).toBe(false);
});

test('a replica that waits for another does not send because the store goes away', async () => {
  const [one, two] = await replicas();
  await one.first();
  const waiting = two.claim();
  await two.pass(10);
  two.world.cut();
  await two.pass(LEASE_MS - 100);
  expect(await stateOf(waiting)).toBe('waits');
  const found = await two.after(1_100, waiting);
  expect(found.kind === 'first' && found.claim.confirmed).toBe(false);
});

test('a client that leaves ends its wait, and no claim is left', async () => {
  const [one, two] = await replicas();
  const claim = await one.first();
  const client = new Abort();
  const waiting = two.claim(KEY, client);
  const gone = waiting.catch((error: unknown) => error);
  await two.pass(500);
  client.abort(new Error('left'));
  expect(await gone).toEqual(new Error('left'));
  void claim.end(undefined);
  await one.first();
});

test('replicas with other secrets share nothing, and fail nothing', async () => {
  const one = await new Replica().started();
  const two = await new Replica(one.world, 'another secret of a fleet').started();
  const id = (values: SharedValues) => values.repliesOf('api', 'https://api.example', SCOPE).secret;
  expect(id(one.values)).not.toEqual(id(two.values));
  // Even with equal hashes.
  await one.after(5, (await one.first()).end(replyOf('done')));
  expect((await two.after(5, two.claim())).kind).toBe('first');
  expect(two.counts).toEqual({ unreadable: 1 });
});

test('callers of other upstreams and hosts have other keys', async () => {
  const { values } = await new Replica().started();
  const secrets = [
    ['api', 'https://a.example'],
    ['api', 'https://b.example'],
    ['apis', 'https://a.example'],
  ].map(([name = '', origin = '']) => values.repliesOf(name, origin, SCOPE).secret.toString('hex'));
  expect(new Set(secrets).size).toBe(3);
});

test.each([
  ['changed', (text: string) => text.slice(0, -8) + 'AAAAAAA='],
  ['of another key', async (_text: string, other: string) => other],
  ['no fact at all', () => 'nonsense'],
])('a fact that is %s is replaced', async (_what, changed) => {
  const [one, two] = await replicas();
  const { store } = one.world;
  const write = vi.spyOn(store, 'exchange');
  for (const id of ['key', 'other'])
    await one.after(5, (await one.first({ ...KEY, id })).end(replyOf('done')));
  const [text = '', other = ''] = write.mock.calls.map(([, , written]) => written);
  store.write('reply:key', await changed(text, other), HOUR_MS);
  const claim = await two.first();
  await two.after(5, claim.end(replyOf('again')));
  const read = await one.after(5, one.claim());
  expect(read.kind === 'stored' && shown(read.reply)).toEqual(shown(replyOf('again')));
  expect(two.counts).toEqual({ unreadable: 1, written: 1 });
});

test('the store gets no text of a request or reply', async () => {
  const [one] = await replicas();
  const { store } = one.world;
  const calls = [vi.spyOn(store, 'claim'), vi.spyOn(store, 'exchange'), vi.spyOn(store, 'publish')];
  await one.after(5, (await one.first()).end(replyOf('the name of a customer')));
  const texts = JSON.stringify(calls.map(({ mock }) => mock.calls));
  const decoded = texts
    .split('"')
    .map((text) => Buffer.from(text, 'base64').toString('latin1'))
    .join();
  for (const secret of ['customer', 'order 1', 'x-sum', SECRET])
    expect(texts + decoded).not.toContain(secret);
});
