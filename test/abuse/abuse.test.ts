import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

/** The short form of what `npm run soak` does for half an hour: each play once. */
test('a process with a heap of 256 MB survives hostile peers, serves others meanwhile, and frees its memory', {
  timeout: 180_000,
}, async () => {
  const abuse = spawn(process.execPath, ['test/abuse/run.ts'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [abuse.stdout, abuse.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
  const [code] = (await once(abuse, 'close')) as [number | null];
  expect(`${said}exit ${code}`).toMatch(/\nabuse: it lived\nexit 0$/);
});
