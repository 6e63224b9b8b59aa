import fc from 'fast-check';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { RecordedBody } from '../../src/http/bodies/recorded-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { RECOGNISED } from '../../src/http/credentials.ts';
import { identityOf } from '../../src/policies/dedupe/identity.ts';
import { type Identity, DedupeStore, type StoredReply } from '../../src/policies/dedupe/store.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { StubBody, stubCall } from '../support/stub-call.ts';

const names = RECOGNISED;
const secret = { secret: Buffer.from('secret'), names };
const call = (changes = {}) => stubCall({ method: 'POST', idempotencyKey: 'k', ...changes });

test('fields that look alike when joined stay distinct', () => {
  const of = (changes: object, body: string) => identityOf(call(changes), [Buffer.from(body)], secret);
  expect(of({ target: '/a' }, 'b').payload).not.toBe(of({ target: '/' }, 'ab').payload);
  expect(of({ method: 'POSTS', target: '/' }, '').payload).not.toBe(
    of({ method: 'POST', target: 'S/' }, '').payload,
  );
  expect(of({ idempotencyKey: 'kauthorization' }, '').id).not.toBe(
    of({ headers: ['authorization', ''] }, '').id,
  );
  expect(of({}, 'ab')).toEqual(identityOf(call(), [Buffer.from('a'), Buffer.from('b')], secret));
});

test('no credential is stored, and no stored hash can be computed without the secret', () => {
  const headers = ['Authorization', 'Bearer sk_live'];
  const one = identityOf(call({ headers }), [], secret);
  expect(one.id).not.toContain('sk_live');
  expect(identityOf(call({ headers }), [], { secret: Buffer.from('another'), names }).id).not.toBe(one.id);
  // Names are case-insensitive, and a call is the same whatever traces it.
  const again = ['x-request-id', '2', 'AUTHORIZATION', 'Bearer sk_live'];
  expect(identityOf(call({ headers: again }), [], secret)).toEqual(one);
});

test('the account of a credential that the proxy adds is a part of the identity', () => {
  const id = (...account: string[]) => identityOf(call(), [], { ...secret, account }).id;
  expect(id('basic', 'a')).toBe(id('basic', 'a'));
  expect(id('basic', 'a')).not.toBe(id('basic', 'b'));
});

test('a repeat with a new signature has the same key; another session or user has not', () => {
  const id = (...headers: string[]) =>
    identityOf(call({ headers: ['x-api-key', 'k', ...headers] }), [], secret).id;
  const one = id('x-signature', 'a', 'x-auth-timestamp', '1');
  expect(id('x-signature', 'b', 'x-auth-timestamp', '2')).toBe(one);
  for (const name of ['x-session-id', 'x-user-id', 'x-auth']) expect(id(name, 'a')).not.toBe(id(name, 'b'));
});

test('a body that ends without a signal to its sink does not keep its key in use', () => {
  const body = new StubBody();
  const recordings: unknown[] = [];
  const options = {
    maxBytes: 10,
    memory: new ByteBudget(10),
    client: new Abort(),
    onDone: (recording: unknown) => recordings.push(recording),
  };
  new RecordedBody(body, options).discard();
  body.end('broken');
  expect(recordings).toEqual([undefined]);
  expect(options.client.listenerCount).toBe(0);
});

const REPLY: StoredReply = { status: 200, statusText: 'OK', headers: [], chunks: [], trailers: [] };

test('of one operation at most one request runs, and all waiting requests continue', () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b'),
    payload: fc.constantFrom('p', 'q'),
    stores: fc.boolean(),
    ends: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
      const store = new DedupeStore({ windowMs: 1_000, maxReplyBytes: 1, memoryBytes: 10_000 }, () => 0);
      const running = new Map<string, Identity>();
      const stored = new Map<string, string>();
      for (const { id, payload, stores, ends } of steps) {
        const first = running.get(id);
        const known = first?.payload ?? stored.get(id);
        const { kind } = store.claim({ id, payload });
        const usual = first === undefined ? 'stored' : 'running';
        const equal = known === payload ? usual : 'other_payload';
        expect(kind).toBe(known === undefined ? 'first' : equal);
        if (kind === 'first') running.set(id, { id, payload });
        const now = running.get(id);
        if (!ends || now === undefined) continue;
        let woken = 0;
        store.onFinish(now, () => woken++);
        store.finish(now, stores ? REPLY : undefined);
        expect(woken).toBe(1);
        running.delete(id);
        if (stores) stored.set(id, now.payload);
      }
    }),
  );
});

test('a window without keys is warned of', () => {
  const load = (retry: string) =>
    loadConfig(
      'config.yaml',
      {},
      () => `upstreams:\n  a:\n    url: https://a.example\n    dedupe: 24h\n${retry}`,
    );
  const loaded = load('');
  expect(loaded.ok && loaded.warnings.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    expect.stringContaining('no effect with retry.idempotency_key: none'),
  ]);
  const keyed = load('    retry: { idempotency_key: pass }\n');
  expect(keyed.ok && keyed.warnings).toEqual([]);
});
