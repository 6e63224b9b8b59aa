import { expect, test } from 'vitest';
import { calls } from '../../src/cli/calls.ts';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { Changes } from '../support/changes.ts';
import { temporaryFolder } from '../support/command.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { runCommand } from '../support/run-command.ts';

const run = (args: readonly string[]) =>
  runCommand(calls, args, { env: {}, cwd: temporaryFolder({ 'config.yaml': '' }) });

async function rescued() {
  const origin = await startOrigin(status(503), status(500), ok('paid'), status(404));
  const proxy = await startBreakwater(apiConfig(origin));
  await (await fetch(`${proxy.url}/api/pay`, { headers: { 'x-request-id': 'app-17' } })).text();
  await fetch(`${proxy.url}/nowhere`, { headers: { 'x-request-id': 'app-18' } });
  await proxy.untilEnded(2);
  return { proxy, at: ['--admin', proxy.adminUrl] };
}

test('the id from an app leads to the attempts of its call', async () => {
  const { at } = await rescued();
  const { code, out } = await run(['app-17', ...at]);
  expect(code).toBe(0);
  expect(out).toMatch(/^GET api\/pay 200 rescued on attempt 3: 503 → waited 0 ms → 500 → /);
  const rows = out.split('\n').map((line) => line.trim().split(/ {2,}/));
  expect(rows.find(([name]) => name === 'id')?.[1]).toBe('app-17');
  expect(rows.find(([name]) => name === 'returned')?.[1]).toBe('4 bytes');
  const attempts = rows.filter(([n]) => /^\d$/.test(n ?? '')).map((row) => row.slice(3));
  expect(attempts).toEqual([['503'], ['500', '0 ms (status_503)'], ['200', '0 ms (status_500)']]);
});

test('without an id, calls that ended in the same way are one line', async () => {
  const { proxy, at } = await rescued();
  await fetch(`${proxy.url}/nowhere`);
  await proxy.untilEnded(3);
  const lines = (await run(at)).out.split('\n').map((line) => line.trim().split(/ {2,}/).slice(1));
  expect(lines.slice(0, 3)).toEqual([
    ['CALLS', 'ITS ID', 'WHAT HAPPENED'],
    ['2', expect.any(String) as string, expect.stringContaining('404 rejected') as string],
    ['1', 'app-17', expect.stringContaining('rescued') as string],
  ]);
  expect((await run(['--outcome', 'rescued', ...at])).out).not.toContain('rejected');
  expect((await run(['--text', 'PAY', ...at])).out).toMatch(/^GET api\/pay 200/);
  expect(JSON.parse((await run(['app-18', '--json', ...at])).out)).toMatchObject({
    groups: [{ count: 1, calls: [{ id: 'app-18' }] }],
  });
  expect((await run(['--upstream', 'other', ...at])).out).toBe('no notable calls\n');
});

test('an id that is not in memory says where to look', async () => {
  const { at } = await rescued();
  const { code, err } = await run(['unknown', ...at]);
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('breakwater requests list --request-id') as string,
  ]);
  expect((await run(['a', 'b', ...at])).code).toBe(2);
});

test('tail shows the calls from before, and each further one as it ends', async () => {
  const { proxy, at } = await rescued();
  const seen: string[] = [];
  const changes = new Changes();
  let stop = () => {};
  const ran = runCommand(calls, ['tail', '--outcome', 'rejected', ...at], {
    cwd: temporaryFolder({ 'config.yaml': '' }),
    onSignal: (signal, listener) => {
      if (signal === 'SIGINT') stop = listener;
    },
    onOut: (text) => {
      seen.push(text);
      changes.notify();
    },
  });
  await changes.until(() => seen.length === 1);
  expect(seen[0]).toMatch(/^\S+Z {2}app-18 {2}GET \/nowhere 404 rejected/);
  await fetch(`${proxy.url}/elsewhere`, { headers: { 'x-request-id': 'app-19' } });
  await changes.until(() => seen.length === 2);
  expect(seen[1]).toMatch(/ {2}app-19 {2}GET \/elsewhere 404 rejected/);
  stop();
  expect((await ran).code).toBe(0);
});

test('tail without a proxy is an error', async () => {
  const { code, err } = await run(['tail', '--admin', '127.0.0.1:9']);
  expect([code, err]).toEqual([
    1,
    expect.stringContaining('the proxy at http://127.0.0.1:9 cannot be reached') as string,
  ]);
});
