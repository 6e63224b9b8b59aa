import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

/** A TCP address at which the server of `startPostgres` is away until `open`. */
async function awayAt(url: string): Promise<{ readonly url: string; open(): Promise<void> }> {
  const socket = `${new URL(url).searchParams.get('host')}/.s.PGSQL.5432`;
  const relay = (): Server =>
    createServer((client) => {
      const upstream = connect(socket).on('error', () => client.destroy());
      client.on('error', () => upstream.destroy());
      client.pipe(upstream).pipe(client);
    });
  const listening = (of: Server, port: number) =>
    new Promise<void>((resolve) => void of.listen(port, '127.0.0.1', resolve));
  const reserved = relay();
  await listening(reserved, 0);
  const { port } = reserved.address() as { port: number };
  await new Promise((resolve) => reserved.close(resolve));
  const through = new URL(url);
  through.searchParams.set('host', '127.0.0.1');
  through.searchParams.set('port', String(port));
  const open = async () => {
    const opened = relay();
    await listening(opened, port);
    onTestFinished(() => void opened.close());
  };
  return { url: through.href, open };
}

const configOf = (store: string, origin: string) => `
durable: { store: "${store}" }
upstreams:
  pay: { url: "${origin}", allow_private: true, durable: true }
  maps: { url: "${origin}", allow_private: true }
`;

describe.skipIf(MISSING !== undefined || process.env['BREAKWATER_TEST_POSTGRES'] !== undefined)(
  `PostgreSQL that is away at the start ${MISSING ?? ''}`,
  () => {
    test('other calls go on, durable requests are refused, and accepted once it is back', async () => {
      const origin = await startOrigin(ok());
      const database = await awayAt(await server.freshUrl());
      const clock = new FakeClock();
      const proxy = await startBreakwater(configOf(database.url, origin.url), { clock });
      const submit = () =>
        fetch(`${proxy.url}/pay/orders`, { method: 'PUT', body: 'x', headers: { prefer: 'respond-async' } });
      const readiness = async () => {
        const reply = await fetch(`${proxy.adminUrl}/readyz`);
        return `${reply.status} ${await reply.text()}`;
      };
      const working = async () =>
        /^breakwater_store_working (\d)/m.exec(await (await fetch(`${proxy.adminUrl}/metrics`)).text())?.[1];

      expect((await fetch(`${proxy.url}/maps/x`)).status).toBe(200);
      expect((await fetch(`${proxy.url}/pay/x`)).status).toBe(200);
      const refused = await submit();
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
      expect(await refused.json()).toMatchObject({ code: 'store_unavailable' });
      // A probe of Kubernetes would stop all calls by 503, on every replica.
      expect([await readiness(), await working()]).toEqual(['200 store_failed\n', '0']);
      // It is still away when it is tried again. The same reason is logged once.
      await clock.advance(5_000);
      expect(proxy.logs.filter(({ message }) => message.includes('ECONNREFUSED'))).toHaveLength(1);

      await database.open();
      await expect
        .poll(async () => {
          await clock.advance(5_000);
          return [await readiness(), await working()];
        })
        .toEqual(['200 ready\n', '1']);
      expect((await submit()).status).toBe(202);
    });

    test('a reload that removes the routes of a database that is away makes the proxy ready', async () => {
      const origin = await startOrigin(ok());
      const database = await awayAt(await server.freshUrl());
      const clock = new FakeClock();
      const proxy = await startBreakwater(configOf(database.url, origin.url), { clock });
      const readiness = async () => (await fetch(`${proxy.adminUrl}/readyz`)).text();
      expect(await readiness()).toBe('store_failed\n');
      proxy.rewrite(configOf(database.url, origin.url).replace(', durable: true', ''));
      await proxy.app.reload();
      await expect.poll(readiness).toBe('ready\n');
      await database.open();
      await clock.advance(5_000);
      expect(proxy.logs.some(({ message }) => message.startsWith('the durable store can be used'))).toBe(
        false,
      );
    });

    test('a proxy that is about to end is not ready, whatever its database does', async () => {
      const origin = await startOrigin(ok());
      const database = await awayAt(await server.freshUrl());
      const clock = new FakeClock();
      const proxy = await startBreakwater(`drain_delay: 5s\n${configOf(database.url, origin.url)}`, {
        clock,
      });
      const left = proxy.app.leave();
      const reply = await fetch(`${proxy.adminUrl}/readyz`);
      expect([reply.status, await reply.text()]).toEqual([503, 'leaving\n']);
      await clock.advance(6_000);
      await left;
    });

    test('a database that refuses the proxy ends the start', async () => {
      const origin = await startOrigin(ok());
      const url = new URL(await server.freshUrl());
      url.pathname = '/no-such-database';
      await expect(startBreakwater(configOf(url.href, origin.url))).rejects.toThrow('no-such-database');
    });
  },
);
