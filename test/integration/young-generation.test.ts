import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';
import { ok, startOrigin } from '../support/origin.ts';

const AT_ONCE = 512;
const CALLS = 4_000;

test('many calls at once do not make later calls garbage of the old generation', {
  timeout: 120_000,
}, async () => {
  const origin = await startOrigin(ok());
  const folder = temporaryFolder({
    'config.yaml': `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams:
  api: { url: "${origin.url}", allow_private: true }
`,
  });
  const running = run(process.execPath, [
    '--max-semi-space-size=4',
    '--import',
    './test/support/promotions.ts',
    'src/main.ts',
    'start',
    '--config',
    `${folder}/config.yaml`,
  ]);
  const [, url = ''] = await running.untilPrinted(/"listening on (http:[^"]+)"/);
  const send = async (calls: number, atOnce: number): Promise<void> => {
    let left = calls;
    const one = async (): Promise<void> => {
      while (left-- > 0) await (await fetch(`${url}/api/`)).text();
    };
    await Promise.all(Array.from({ length: atOnce }, one));
  };
  await send(12 * AT_ONCE, AT_ONCE);
  await send(CALLS, 4);

  running.child.kill('SIGUSR2');
  await running.untilPrinted(/counting/);
  await send(CALLS, 4);
  running.child.kill('SIGWINCH');
  const [, collections, bytes] = await running.untilPrinted(/(\d+) collections moved (-?\d+) bytes/);
  expect(Number(collections)).toBeGreaterThan(5);
  // 3 000 without that flag of V8.
  expect(Number(bytes) / CALLS).toBeLessThan(500);
});
