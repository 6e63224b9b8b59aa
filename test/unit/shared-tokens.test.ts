import { expect, test, vi } from 'vitest';
import { SharedValues } from '../../src/app/shared-values.ts';
import { ExpiringSecret, type Issued } from '../../src/auth/expiring-secret.ts';
import { LEASE_MS } from '../../src/fleet/claims.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { settled } from '../support/stub-call.ts';

const LIFETIME_MS = 600_000;
const SECRET = 'a secret of the whole fleet';
const ACCOUNT = ['oauth2', 'https://login.example/token', 'billing', 'hush of the client'];

/** A token endpoint that takes `ms` for an answer. */
class Endpoint {
  readonly #world: EngineWorld;
  ms = 10;
  failing = false;
  lifetimeMs = LIFETIME_MS;
  asked = 0;

  constructor(world: EngineWorld) {
    this.#world = world;
  }

  async issue(): Promise<Issued<string>> {
    const secret = `Bearer token ${++this.asked}`;
    await this.#world.clock.sleep(this.ms, new Abort());
    if (this.failing) throw new ProxyError('auth_failed', 'no token');
    return { secret, lifetimeMs: this.lifetimeMs };
  }
}

/** A replica on its own connection, with a credential. */
class Replica {
  readonly world: EngineWorld;
  readonly endpoint: Endpoint;
  readonly values: SharedValues;
  readonly #token: ExpiringSecret<string>;
  readonly #issue;

  constructor(other?: Replica, account = ACCOUNT) {
    this.world = new EngineWorld(other?.world);
    this.endpoint = other?.endpoint ?? new Endpoint(this.world);
    const { clock } = this.world;
    this.values = new SharedValues(SECRET, { clock, fleet: this.world.fleet(), onLate: () => undefined });
    this.#token = new ExpiringSecret<string>({
      clock,
      random: () => 0.5,
      holdOffMs: () => 1_000,
      onResult: () => undefined,
    });
    this.#issue = this.values.tokensOf(account, () => this.endpoint.issue());
  }

  async started(): Promise<this> {
    const started = this.values.start();
    await this.pass(5);
    await started;
    return this;
  }

  async get(): Promise<string> {
    return this.#token.get(this.#issue);
  }

  /** The API has refused `secret`. */
  refused(secret: string): Promise<boolean> {
    return this.#token.renew((one) => one === secret, this.#issue, new Abort());
  }

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
    return this.values.snapshot()?.counts.token;
  }
}

async function replicas(count: number): Promise<[Replica, Replica, ...Replica[]]> {
  const one = await new Replica().started();
  const others: Replica[] = [];
  for (let i = 1; i < count; i++) others.push(await new Replica(one).started());
  return [one, ...others] as [Replica, Replica, ...Replica[]];
}

test('a rollout of 20 replicas causes one token request, and so does each renewal', async () => {
  const all = await replicas(20);
  const [one] = all;
  const first = await one.after(100, Promise.all(all.map((replica) => replica.get())));
  expect([one.endpoint.asked, new Set(first)]).toEqual([1, new Set(['Bearer token 1'])]);
  await one.pass(0.86 * LIFETIME_MS);
  // The renewal runs in the background.
  for (const replica of all) expect(await replica.get()).toBe('Bearer token 1');
  await one.pass(200);
  const second = await Promise.all(all.map((replica) => replica.get()));
  expect([one.endpoint.asked, new Set(second)]).toEqual([2, new Set(['Bearer token 2'])]);
});

test('a replica that starts later gets the token with the rest of its lifetime', async () => {
  const [one] = await replicas(1);
  await one.after(50, one.get());
  await one.pass(0.5 * LIFETIME_MS);
  const late = await new Replica(one).started();
  expect(await late.after(20, late.get())).toBe('Bearer token 1');
  await late.pass(0.45 * LIFETIME_MS);
  await late.get();
  await late.pass(100);
  expect([one.endpoint.asked, await late.get()]).toEqual([2, 'Bearer token 2']);
  expect(late.counts).toEqual({ read: 1, written: 1 });
});

test('a token that was refused is replaced once for all', async () => {
  const [one, two] = await replicas(2);
  await one.after(50, Promise.all([one.get(), two.get()]));
  const renewed = [one, two].map((replica) => replica.refused('Bearer token 1'));
  expect(await one.after(100, Promise.all(renewed))).toEqual([true, true]);
  expect([one.endpoint.asked, await one.get(), await two.get()]).toEqual([
    2,
    'Bearer token 2',
    'Bearer token 2',
  ]);
});

test('a replica whose request dies delays the others until its lease ends', async () => {
  const [one, two] = await replicas(2);
  one.endpoint.ms = 1e9;
  const lost = one.get();
  lost.catch(() => undefined);
  await one.pass(10);
  one.world.cut();
  one.endpoint.ms = 10;
  const waiting = two.get();
  await two.pass(LEASE_MS - 1_000);
  expect(one.endpoint.asked).toBe(1);
  expect(await two.after(2_100, waiting)).toBe('Bearer token 2');
});

test('while the store is away, each replica requests its own', async () => {
  const [one, two] = await replicas(2);
  for (const { world } of [one, two]) world.cut();
  const tokens = await one.after(50, Promise.all([one.get(), two.get()]));
  expect(tokens).toEqual(['Bearer token 1', 'Bearer token 2']);
  expect([one.counts, two.counts]).toEqual([{ alone: 1 }, { alone: 1 }]);
});

test('when the endpoint fails, no replica waits for the others one after another', async () => {
  const all = await replicas(5);
  const [one] = all;
  one.endpoint.failing = true;
  const results = Promise.allSettled(all.map((replica) => replica.get()));
  const found = await one.after(200, results);
  expect(found.map(({ status }) => status)).toEqual(all.map(() => 'rejected'));
  one.endpoint.failing = false;
  await one.pass(6_000);
  expect(await one.after(50, one.get())).toBe(`Bearer token ${one.endpoint.asked}`);
});

test('a token of another secret, client or scope is not used', async () => {
  const one = await new Replica().started();
  await one.after(50, one.get());
  for (const changed of [3, 2]) {
    const account = ACCOUNT.map((part, i) => (i === changed ? `${part}!` : part));
    const other = await new Replica(one, account).started();
    expect(await other.after(50, other.get())).toBe(`Bearer token ${one.endpoint.asked}`);
  }
  expect(one.endpoint.asked).toBe(3);
});

test('a late token does not replace a newer one, which is used', async () => {
  const [one, two] = await replicas(2);
  one.endpoint.ms = 20_000;
  const late = one.get();
  await one.pass(10);
  one.world.cut();
  await one.pass(LEASE_MS);
  one.endpoint.ms = 10;
  await two.after(2_000, two.get());
  one.world.gone = false;
  expect(await one.after(20_000, late)).toBe('Bearer token 2');
  expect(one.counts).toMatchObject({ lost: 1, read: 1 });
});

test('a token without an end is shared for a day', async () => {
  const [one, two] = await replicas(2);
  one.endpoint.lifetimeMs = Infinity;
  const claim = vi.spyOn(one.world.store, 'claim');
  await one.after(50, one.get());
  expect(await two.after(10, two.get())).toBe('Bearer token 1');
  const [, , ms = 0] = claim.mock.calls.find(([name]) => name.startsWith('token')) ?? [];
  expect(ms).toBeLessThanOrEqual(86_400_000);
});

test('a token that came just before the claim of its renewal is used', async () => {
  const [one, two] = await replicas(2);
  await one.after(50, one.get());
  vi.spyOn(one.world.store, 'read').mockImplementationOnce(() => undefined);
  expect(await two.after(50, two.get())).toBe('Bearer token 1');
});

test('the store gets no token and no secret of the client; a fact that was changed is replaced', async () => {
  const [one, two] = await replicas(2);
  const { store } = one.world;
  const claim = vi.spyOn(store, 'claim');
  await one.after(50, one.get());
  const [key = '', text = ''] = claim.mock.calls.find(([name]) => name.startsWith('token')) ?? [];
  expect(key + Buffer.from(text, 'base64').toString('latin1')).not.toMatch(/Bearer|hush|billing/);
  store.write(key, `${text.slice(0, -8)}AAAAAAA=`, LIFETIME_MS);
  expect(await two.after(50, two.get())).toBe('Bearer token 2');
  expect(two.counts).toEqual({ unreadable: 2, written: 1 });
});
