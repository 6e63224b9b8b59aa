import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

/** The short form of `npm run soak`: a quarter of a minute of faults, between times of warming up and of coming to rest. */
test('after faults on both sides, reloads and restarts, all resources are as at the start', {
  timeout: 120_000,
}, async () => {
  const soak = spawn(process.execPath, ['test/soak/run.ts', '--minutes', '0.25'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  soak.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code] = (await once(soak, 'close')) as [number | null];
  // The problems come after the last figures.
  const verdict = `${said}exit ${code}`.slice(said.lastIndexOf('\n}\n') + 3);
  expect(verdict).toBe('soak: everything is where it began\nexit 0');
});
