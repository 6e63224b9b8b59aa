import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';

test('a stalled reader of the log delays neither calls nor the exit', async () => {
  const folder = temporaryFolder({
    'config.yaml': `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: { requests: all }
upstreams: { api: { url: "http://127.0.0.1:9", allow_private: true, retry: off } }
`,
  });
  const child = spawn(process.execPath, ['src/main.ts', 'start', '--config', join(folder, 'config.yaml')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let out = '';
  while (!/listening on http/.test(out)) out += String((await once(child.stdout, 'data'))[0]);
  const [, url = ''] = /listening on (http:[^"]+)/.exec(out) ?? [];
  const [, admin = ''] = /"admin":"([^"]+)"/.exec(out) ?? [];
  // From now on nothing reads.
  child.stdout.pause();
  const path = 'x'.repeat(8_000);
  const dropped = async () => {
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    return Number(/^breakwater_log_lines_dropped_total (\d+)/m.exec(metrics)?.[1]);
  };
  expect(await dropped()).toBe(0);
  // Each line has the path; 4 MiB of lines are buffered.
  for (let round = 0; (await dropped()) === 0; round++) {
    expect(round).toBeLessThan(50);
    await Promise.all(
      Array.from({ length: 32 }, async () => (await fetch(`${url}/api/${path}`)).arrayBuffer()),
    );
  }
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});
