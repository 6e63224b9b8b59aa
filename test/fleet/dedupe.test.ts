import { createHash, randomBytes } from 'node:crypto';
import { Agent, createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type AuthorizationServer, startAuthorizationServer } from '../support/authorization-server.ts';
import { Changes } from '../support/changes.ts';
import * as support from '../support/origin.ts';
import { linkTo } from './engine-link.ts';
import { contentsOf, ENGINES, freshName, REDIS } from './engines.ts';
import { type ReplicaProcess, startReplica } from './replicas.ts';

/*
 * Real processes on a real engine. On a busy machine the engine may take longer than 50 ms. Then a replica goes on alone and says so,
 * and a key may be sent more than once. So the number of calls is compared with what the replicas have said.
 */

const SECRET = 'the secret of all replicas of the test';
/** Keys at a time. */
const AT_ONCE = 25;

const CLIENT_SECRET = 'hush-hush-of-the-client';

/** An API with access tokens. */
async function startApi() {
  const issuer = await startAuthorizationServer();
  const { port } = await support.startOrigin(issuer.api);
  return { issuer, url: `http://127.0.0.1:${port}` };
}

/** Calls of a held key that the test answers. Later ones come from a replica that goes on alone. */
const HELD_CALLS = 2;

/** Answers each call with other bytes. The first calls with a key that begins with `held` wait for the test. */
async function startOrigin() {
  const calls = new Map<string, number>();
  const held = new Map<string, ServerResponse[]>();
  const changes = new Changes();
  const server = createServer({ keepAlive: true }, (incoming, outgoing) => {
    const key = String(incoming.headers['idempotency-key']);
    calls.set(key, (calls.get(key) ?? 0) + 1);
    incoming.resume();
    const mayBeHeld = key.startsWith('held') && (calls.get(key) ?? 0) <= HELD_CALLS;
    if (mayBeHeld) held.set(key, [...(held.get(key) ?? []), outgoing]);
    else outgoing.writeHead(201, { 'x-customer': 'Ada Lovelace' }).end(randomBytes(64));
    changes.notify();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    /** The response to the call of a key with this index, once it has arrived. */
    async heldCall(key: string, index: number): Promise<ServerResponse> {
      await changes.until(() => held.get(key)?.[index] !== undefined);
      return held.get(key)?.[index] as ServerResponse;
    },
  };
}

interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly body: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });

function post({ url }: ReplicaProcess, key: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { 'idempotency-key': key, authorization: 'Bearer of-the-caller' };
    request(`${url}/api/orders`, { agent, method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          replayed: response.headers['idempotent-replayed'] === 'true',
          body: createHash('sha256').update(Buffer.concat(chunks)).digest('hex'),
        }),
      );
    })
      .on('error', reject)
      .end('an order');
  });
}

const hashOf = (body: string) => createHash('sha256').update(body).digest('hex');

async function stopped({ process }: ReplicaProcess): Promise<void> {
  process.child.kill('SIGTERM');
  await process.ended();
}

/** For states that the admin API shows. */
const WAIT = { timeout: 60_000, interval: 20 };

/** Keys that are sent while replicas are killed or stopped. */
const DURING = 100;

const LOST = 'breakwater_shared_values_total{kind="reply",result="lost"}';
const USED = '\nbreakwater_shared_values_used';
const UNSHARED = 'breakwater_dedupe_unshared_total{upstream="api",route="default",reason="store_away"}';

/** 0 without the series. */
async function metric({ adminUrl }: ReplicaProcess, series: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text();
  return Number(text.split(`${series} `)[1]?.split('\n', 1)[0] ?? 0);
}

/** Calls that were sent without the engine, as the replicas have counted them. */
async function unshared(replicas: readonly ReplicaProcess[]): Promise<number> {
  const counts = await Promise.all(replicas.map((replica) => metric(replica, UNSHARED)));
  return counts.reduce((sum, one) => sum + one, 0);
}

const ALONE = 'breakwater_shared_values_total{kind="token",result="alone"}';

/** Each replica sends a call at once. Returns the number of tokens that were requested without the engine. */
async function callApi(replicas: readonly ReplicaProcess[]): Promise<number> {
  const statuses = replicas.map(async ({ url }) => (await fetch(`${url}/tokens/x`)).status);
  expect(await Promise.all(statuses)).toEqual(replicas.map(() => 200));
  const alone = await Promise.all(replicas.map((replica) => metric(replica, ALONE)));
  return alone.reduce((sum, one) => sum + one, 0);
}

/** Sends so many keys to all replicas at once, and returns the bodies of each key. */
async function toAll(
  replicas: readonly ReplicaProcess[],
  keys: number,
  first = 0,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const bodies = new Map<string, ReadonlySet<string>>();
  let next = first;
  const worker = async () => {
    while (next < first + keys) {
      const key = `key ${next++}`;
      const answers = await Promise.all(replicas.map((replica) => post(replica, key)));
      expect(answers.map(({ status }) => status)).toEqual(replicas.map(() => 201));
      bodies.set(key, new Set(answers.map(({ body }) => body)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return bodies;
}

describe.each(ENGINES)('$name $missing', (engine) => {
  describe.skipIf(engine.missing !== undefined)('replicas as processes', { timeout: 120_000 }, () => {
    const tokensOf = (url: string, { tokenUrl }: AuthorizationServer) => `
  tokens:
    url: '${url}'
    allow_private: true
    auth: { oauth2: { token_url: '${tokenUrl}', client_id: app, client_secret: ${CLIENT_SECRET}, allow_private: true } }
`;
    const configOf = (store: string, origin: string, name: string) => `
shared: { store: '${store}', name: ${name}, secret: ${SECRET} }
upstreams:
  api:
    url: '${origin}'
    allow_private: true
    retry: { idempotency_key: pass, attempts: 1 }
    dedupe: 1h
    timeouts: { total: 60s }
`;
    const started = (yaml: string, count: number) =>
      Promise.all(Array.from({ length: count }, () => startReplica(yaml)));

    test('send each key and each token request once, also when one is killed or stopped, and after a restart of all', async () => {
      // More keys show nothing else, and take their time.
      const keys = engine === REDIS ? 1_000 : 200;
      const origin = await startOrigin();
      const name = freshName();
      const { issuer, url } = await startApi();
      const yaml = configOf(engine.url, origin.url, name) + tokensOf(url, issuer);
      const [killed, paused, ...replicas] = await started(yaml, 5);
      if (killed === undefined || paused === undefined) throw new Error('five replicas were started');
      const [one, two] = replicas as [ReplicaProcess, ReplicaProcess];

      const tokensAlone = await callApi([killed, paused, ...replicas]);
      expect(issuer.granted).toBeLessThanOrEqual(1 + tokensAlone);
      await issuer.revoke(issuer.tokens[0] as string);
      await callApi([killed, paused, ...replicas]);

      // Most keys are sent before, so that the time for which one is stopped does not depend on their number.
      const before = await toAll(replicas, keys - DURING, DURING);
      const lost = post(killed, 'held by a killed one').catch(() => undefined);
      const late = post(paused, 'held by a paused one');
      await origin.heldCall('held by a killed one', 0);
      const lateCall = await origin.heldCall('held by a paused one', 0);
      killed.process.child.kill('SIGKILL');
      paused.process.child.kill('SIGSTOP');
      await lost;
      // These wait for the leases, while other keys are sent.
      const instead = ['held by a killed one', 'held by a paused one'].map((key) => post(one, key));

      const bodies = new Map([...before, ...(await toAll(replicas, DURING))]);
      for (const key of ['held by a killed one', 'held by a paused one'])
        (await origin.heldCall(key, 1)).writeHead(201).end('the second');
      for (const answer of await Promise.all(instead)) expect(answer.body).toBe(hashOf('the second'));

      paused.process.child.kill('SIGCONT');
      lateCall.writeHead(201).end('the first, too late');
      expect((await late).body).toBe(hashOf('the first, too late'));
      // A process that continues may believe at first that the engine is away. On a busy machine the other one may do so too, and then
      // the first reply is kept. One of both is lost once the engine is used again, and then all replicas give the other one.
      const left = [one, two, paused];
      await vi.waitFor(async () => expect(await metric(paused, USED)).toBe(1), WAIT);
      const sentAlone = await vi.waitFor(async () => {
        const given = await Promise.all(left.map((replica) => post(replica, 'held by a paused one')));
        const count = await unshared(left);
        // A replica that has gone on alone keeps its own reply.
        if (count > 0) return count;
        const isLost = (await metric(paused, LOST)) === 1;
        const kept = [hashOf('the second'), ...(isLost ? [] : [hashOf('the first, too late')])];
        expect(kept).toContain(given[0]?.body);
        expect(given).toEqual(left.map(() => ({ status: 201, replayed: true, body: given[0]?.body })));
        return count;
      }, WAIT);
      for (const key of ['held by a killed one', 'held by a paused one'])
        expect((origin.calls.get(key) ?? 0) - HELD_CALLS).toBeLessThanOrEqual(sentAlone);

      // A claim that was not renewed in time is lost to another replica, which sends the key again.
      const alone = (await unshared(replicas)) + (await metric(one, LOST)) + (await metric(two, LOST));
      const doubled = [...bodies].filter(([, { size }]) => size > 1);
      expect(doubled.length).toBeLessThanOrEqual(alone);
      await Promise.all([paused, ...replicas].map(stopped));

      const contents = await contentsOf(engine, name);
      expect(contents.includes(`${name}:values`)).toBe(true);
      const secrets = [
        ...issuer.tokens,
        CLIENT_SECRET,
        'Ada Lovelace',
        'an order',
        'of-the-caller',
        'key 1',
        SECRET,
        'the second',
      ];
      expect(secrets.filter((secret) => contents.includes(secret))).toEqual([]);

      const { granted } = issuer;
      const restarted = await started(yaml, 1);
      const aloneAgain = await callApi(restarted);
      expect(issuer.granted).toBeLessThanOrEqual(granted + aloneAgain);
      const again = await toAll(restarted, keys);
      const all = alone + (await unshared(restarted));
      const changed = [...again].filter(([key, texts]) => !isDeepStrictEqual(texts, bodies.get(key)));
      expect(changed.length).toBeLessThanOrEqual(all);
      const sent = [...origin.calls].filter(([key]) => key.startsWith('key'));
      expect(sent).toHaveLength(keys);
      expect(sent.reduce((sum, [, count]) => sum + count, 0)).toBeLessThanOrEqual(keys + all);
    });

    test('go on alone without the engine, say so, and share the reply when it is back', async () => {
      const origin = await startOrigin();
      const link = await linkTo(engine.url);
      const name = freshName();
      const [one, two] = await Promise.all([
        startReplica(configOf(link.url, origin.url, name)),
        startReplica(configOf(engine.url, origin.url, name)),
      ]);
      link.cut();
      await one.process.untilPrinted(/"cause":"(lost|slow|unreachable)".*replies and tokens are not shared/);
      const first = await post(one, 'a');
      expect(first).toMatchObject({ status: 201, replayed: false });
      expect(await unshared([one])).toBe(1);
      expect(await metric(one, '\nbreakwater_shared_values_used')).toBe(0);
      link.restore();
      await one.process.untilPrinted(/are not shared[^]*replies and tokens are shared by all replicas/);
      await one.process.untilPrinted(/"replies":1,.*which had been away/);
      const second = await post(two, 'a');
      const sentAlone = await unshared([two]);
      // A replica that takes the engine for slow has a reply of its own.
      expect(second).toEqual(sentAlone > 0 ? { ...second, status: 201 } : { ...first, replayed: true });
      expect(origin.calls.get('a')).toBe(1 + sentAlone);
    });
  });
});
