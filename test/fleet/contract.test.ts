import { Socket } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { SEEN_MS } from '../../src/fleet/engine.ts';
import { type Ledger, type LeaseRequest, lease } from '../../src/fleet/ledger.ts';
import { Changes } from '../support/changes.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { linkTo } from './engine-link.ts';
import { ENGINES, EPOCH, firstRequest, freshName, opened } from './engines.ts';

/** A request of any kind, of a replica that has seen `ledger` or less. */
function anyRequest(random: () => number, ledger: Ledger | undefined, now: number): LeaseRequest {
  const upTo = (most: number) => Math.floor(random() * (most + 1));
  const want = upTo(40);
  return {
    intervalMs: 10,
    burst: 5,
    want,
    need: Math.max(1, Math.min(want, upTo(3))),
    owed: random() < 0.2 ? upTo(10) + 0.5 : 0,
    back: random() < 0.3 ? { units: upTo(8), end: now + 60 - upTo(120) } : { units: 0, end: 0 },
    known: {
      version: Math.max(0, (ledger?.version ?? 0) - upTo(3) + (random() < 0.05 ? 5 : 0)),
      tat: now + upTo(300),
    },
  };
}

describe.each(ENGINES)('$name $missing', (engine) => {
  describe.skipIf(engine.missing !== undefined)('as an engine', () => {
    test('carries out the same arithmetic as the pure function, whatever is asked', async () => {
      const random = seededRandom(7);
      let now = EPOCH;
      const one = await opened(engine, { clock: () => now });
      let ledger: Ledger | undefined;
      for (let step = 0; step < 400; step++) {
        now += Math.floor(random() * (random() < 0.02 ? 3_000 : 60));
        const request = anyRequest(random, ledger, now);
        const expected = lease(ledger, request, now);
        const found = await one.lease('window', request);
        expect(found.granted).toBe(expected.granted);
        expect(found.ledger.version).toBe(expected.ledger.version);
        for (const [a, b] of [
          [found.now, expected.now],
          [found.from, expected.from],
          [found.ledger.tat, expected.ledger.tat],
          [found.ledger.holdUntil, expected.ledger.holdUntil],
        ] as const)
          expect(a).toBeCloseTo(b, 2);
        ledger = expected.ledger;
      }
    });

    test('writes to its connection once for all requests of one turn', async () => {
      const one = await opened(engine);
      const request = anyRequest(seededRandom(1), undefined, EPOCH);
      const ask = () => Promise.all(['a', 'b', 'c'].map((window) => one.lease(window, request)));
      await ask();
      const writes = (['_write', '_writev'] as const).map((name) => vi.spyOn(Socket.prototype, name));
      await ask();
      expect(writes.flatMap(({ mock }) => mock.calls)).toHaveLength(1);
      for (const write of writes) write.mockRestore();
    });

    test('gives units of one window to replicas that ask at once, never more than there are', async () => {
      const prefix = freshName();
      const connections = await Promise.all(Array.from({ length: 5 }, () => opened(engine, { prefix })));
      const request = firstRequest(3_600_000, 100, 1);
      const asking = connections.flatMap((one) =>
        Array.from({ length: 40 }, () => one.lease('window', request)),
      );
      const replies = await Promise.all(asking);
      expect(replies.reduce((sum, { granted }) => sum + granted, 0)).toBe(100);
    });

    test('separates windows, and fleets with another name', async () => {
      const prefix = freshName();
      const [one, two] = [await opened(engine, { prefix }), await opened(engine)];
      const request = firstRequest(3_600_000, 1, 1);
      const granted = async (from: typeof one, key: string) => (await from.lease(key, request)).granted;
      expect(await granted(one, 'a')).toBe(1);
      expect(await granted(one, 'a')).toBe(0);
      expect(await granted(one, 'b')).toBe(1);
      expect(await granted(two, 'a')).toBe(1);
    });

    test('counts the replicas that were seen, and says when it has lost its data', async () => {
      let now = EPOCH;
      const one = await opened(engine, { clock: () => now });
      expect((await one.muster('a')).replicas).toBe(1);
      const { generation, replicas } = await one.muster('b');
      expect(replicas).toBe(2);
      expect((await one.muster('a')).generation).toBe(generation);
      now += SEEN_MS / 2;
      await one.muster('a');
      now += SEEN_MS / 2 + 1;
      expect((await one.muster('a')).replicas).toBe(1);
      await one.leave('a');
      expect((await one.muster('c')).replicas).toBe(1);
    });

    test('keeps facts for their time, and changes them in one step', async () => {
      let now = EPOCH;
      const prefix = freshName();
      const [one, two] = [
        await opened(engine, { prefix, clock: () => now }),
        await opened(engine, { prefix, clock: () => now }),
      ];
      expect(await one.read('a')).toBeUndefined();
      await one.write('a', 'x "ü', 1_000);
      now += 400;
      expect(await two.read('a')).toEqual({ text: 'x "ü', leftMs: 600 });
      expect(await two.read('b')).toBeUndefined();
      expect(await two.claim('a', 'y', 5_000)).toEqual({ text: 'x "ü', leftMs: 600 });
      expect(await two.exchange('a', 'y', 'z', 1_000)).toBe(false);
      expect(await two.exchange('a', 'x "ü', 'z', 1_000)).toBe(true);
      expect(await one.read('a')).toEqual({ text: 'z', leftMs: 1_000 });
      now += 1_000;
      expect(await one.read('a')).toBeUndefined();
      expect(await one.exchange('a', 'z', 'w', 1_000)).toBe(false);
      expect(await one.claim('a', 'v', 1_000)).toBeUndefined();
      expect(await one.exchange('a', 'v', '', 0)).toBe(true);
      expect(await two.read('a')).toBeUndefined();
      expect(await (await opened(engine, { clock: () => now })).read('a')).toBeUndefined();
    });

    test('lets one of many replicas claim a fact', async () => {
      const prefix = freshName();
      const connections = await Promise.all(Array.from({ length: 8 }, () => opened(engine, { prefix })));
      const claims = await Promise.all(connections.map((one, i) => one.claim('a', String(i), 60_000)));
      const winner = String(claims.indexOf(undefined));
      const texts = claims.map((there) => there?.text ?? winner);
      expect(claims.filter((there) => there === undefined)).toHaveLength(1);
      expect(texts).toEqual(connections.map(() => winner));
    });

    test('closes without an answer', async () => {
      const link = await linkTo(engine.url);
      const one = await opened({ ...engine, url: link.url });
      link.silent = true;
      const left = one.leave('a').catch(() => 'ended');
      await one.close();
      expect(await left).toBe('ended');
    });

    test('gives up opening where connections are accepted and nothing is answered', async () => {
      const link = await linkTo(engine.url);
      link.silent = true;
      const late = new AbortController();
      const opening = opened({ ...engine, url: link.url }, { giveUp: late.signal });
      await link.connected;
      late.abort(new Error('it did not answer'));
      await expect(opening).rejects.toThrow('it did not answer');
      await link.ended;
    });

    test('sends messages to every replica of the fleet', async () => {
      const prefix = freshName();
      const changes = new Changes();
      const got: string[] = [];
      const onMessage = (message: string) => {
        got.push(message);
        changes.notify();
      };
      const [one] = [
        await opened(engine, { prefix, onMessage }),
        await opened(engine, { prefix, onMessage }),
      ];
      await opened(engine, { onMessage });
      await one.publish('{"gate":"closed"}');
      await changes.until(() => got.length === 2);
      expect(got).toEqual(['{"gate":"closed"}', '{"gate":"closed"}']);
    });
  });
});
