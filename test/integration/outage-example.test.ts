import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';

/** A port that was free a moment ago. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

test('the outage is survived: nearly all calls succeed before and after it, and the breaker opens in it', {
  timeout: 60_000,
}, async () => {
  const [listen, admin, api] = await Promise.all([freePort(), freePort(), freePort()]);
  const env = {
    BREAKWATER_LISTEN: `127.0.0.1:${listen}`,
    BREAKWATER_ADMIN: `127.0.0.1:${admin}`,
    BREAKWATER_STORE: join(temporaryFolder(), 'store.db'),
    DEMO_URL: `http://127.0.0.1:${api}`,
  };
  // The line of the tenth second comes a second before the API is back, however late timers are.
  const args = ['examples/outage/run.ts', '--before=5', '--outage=6', '--after=4', '--stay=0', '--rps=20'];
  const program = run(process.execPath, args, { env });
  expect([await program.ended(), program.err]).toEqual([0, '']);
  expect(program.out).toContain(`Look at http://127.0.0.1:${admin}/?span=5m`);
  expect(program.out).toMatch(/switched off[^]*breaker (open|half_open)[^]*is back/);
  const shares = Object.fromEntries(
    [...program.out.matchAll(/^(before|outage|after): (\d+) of (\d+)/gm)].map(([, part, good, all]) => [
      part,
      Number(good) / Number(all),
    ]),
  );
  expect(shares['before']).toBeGreaterThan(0.95);
  expect(shares['outage']).toBeLessThan(0.5);
});
