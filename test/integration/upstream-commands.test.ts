import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/cli/io.ts';
import { breaker, quota, target } from '../../src/cli/upstream-commands.ts';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { breakwater, temporaryFolder } from '../support/command.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { runCommand } from '../support/run-command.ts';

const run = (command: Command, args: readonly string[], env: Record<string, string> = {}) =>
  runCommand(command, args, { env, cwd: temporaryFolder({ 'config.yaml': '' }) });

test('breaker: forced open it rejects calls, forced closed it passes them, auto decides again', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(apiConfig(origin));
  const at = ['--admin', proxy.adminUrl];
  const call = async () => (await fetch(`${proxy.url}/api/x`)).status;
  expect(await run(breaker, ['api', 'open', ...at])).toEqual({
    code: 0,
    out: 'breaker of api set to open\n',
    err: '',
  });
  expect([await call(), origin.requests]).toEqual([503, []]);
  expect((await run(breaker, ['api', 'closed', ...at])).code).toBe(0);
  expect(await call()).toBe(200);
  expect((await run(breaker, ['api', 'auto', ...at])).code).toBe(0);
  expect(proxy.logs.map(({ message }) => message)).toContain('breaker of api set to auto by the admin API');
});

test('quota reset: the usage that was counted is cleared', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(apiConfig(origin, '    quota: [1/h]\n'), { clock: new FakeClock() });
  const call = async () => (await fetch(`${proxy.url}/api/x`)).status;
  expect([await call(), await call(), origin.requests.length]).toEqual([200, 429, 1]);
  expect(await run(quota, ['reset', 'api', '--admin', proxy.adminUrl])).toEqual({
    code: 0,
    out: 'quota of api reset\n',
    err: '',
  });
  expect([await call(), origin.requests.length]).toEqual([200, 2]);
});

test('target: taken out it gets no calls, put in it gets them again', async () => {
  const [a, b] = [await startOrigin(ok('a')), await startOrigin(ok('b'))];
  const proxy = await startBreakwater(`
upstreams:
  api:
    allow_private: true
    targets:
      - { name: a, url: ${a.url} }
      - { name: b, url: ${b.url} }
`);
  const at = ['--admin', proxy.adminUrl];
  const call = async () => {
    const reply = await fetch(`${proxy.url}/api/x`);
    const body = await reply.text();
    return reply.status === 200 ? body : JSON.parse(body).code;
  };
  expect(await run(target, ['api', 'a', 'out', ...at])).toEqual({
    code: 0,
    out: 'target a of api taken out\n',
    err: '',
  });
  expect([await call(), await call()]).toEqual(['b', 'b']);
  const state = JSON.parse(await (await fetch(`${proxy.adminUrl}/api/state`)).text());
  expect(state.upstreams[0].targets).toMatchObject([
    { name: 'a', state: 'out' },
    { name: 'b', state: 'in' },
  ]);
  await run(target, ['api', 'b', 'out', ...at]);
  expect(await call()).toBe('no_target');
  await run(target, ['api', 'a', 'in', ...at]);
  expect(await call()).toBe('a');
  expect(proxy.logs.map(({ message }) => message)).toContain('target a of api was taken out by an operator');
  expect((await run(target, ['api', 'c', 'out', ...at])).code).toBe(1);
  expect((await run(target, ['api', 'a', 'away', ...at])).code).toBe(2);
});

describe('reports a problem', () => {
  test('an upstream that does not exist, whatever its name', async () => {
    const origin = await startOrigin(ok());
    const { adminUrl } = await startBreakwater(apiConfig(origin));
    const name = 'a/../b\u001b[2J';
    const err = 'breakwater: there is no upstream "a/../b\\u001b[2J"\n';
    expect(await run(breaker, [name, 'open', '--admin', adminUrl])).toEqual({ code: 1, out: '', err });
    expect(await run(quota, ['reset', name, '--admin', adminUrl])).toEqual({ code: 1, out: '', err });
  });

  test('a missing admin token, which is then read from the environment', async () => {
    const origin = await startOrigin(ok());
    const proxy = await startBreakwater(`admin_token: secret-1\n${apiConfig(origin)}`);
    const args = ['api', 'open', '--admin', proxy.adminUrl];
    const { code, err } = await run(breaker, args);
    expect([code, err]).toEqual([1, expect.stringContaining('BREAKWATER_ADMIN_TOKEN')]);
    expect((await run(breaker, args, { BREAKWATER_ADMIN_TOKEN: 'secret-1' })).code).toBe(0);
  });

  test('another server at the address', async () => {
    const origin = await startOrigin(status(404, {}, 'no'));
    expect(await run(breaker, ['api', 'open', '--admin', origin.url])).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not the admin listener of Breakwater'),
    });
  });

  test.each<[string, Command, string[], string]>([
    ['breaker', breaker, [], 'UPSTREAM is missing'],
    ['breaker', breaker, ['api'], 'STATE is missing'],
    ['breaker', breaker, ['api', 'shut'], 'unknown state "shut"; write one of open, closed, auto'],
    ['breaker', breaker, ['api', 'open', 'more'], "unexpected argument 'more'"],
    ['quota', quota, ['reset'], 'UPSTREAM is missing'],
    ['quota', quota, ['show', 'api'], 'unknown action "show"; write reset'],
  ])('%s called with %s %j', async (_name, command, args, message) => {
    const ran = await run(command, args);
    expect(ran).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
  });
});

test('both are commands of the program, with their exit codes', async () => {
  const origin = await startOrigin(ok());
  const { adminUrl } = await startBreakwater(apiConfig(origin));
  const forced = breakwater('breaker', 'api', 'open', '--admin', adminUrl);
  expect([await forced.ended(), forced.out]).toEqual([0, 'breaker of api set to open\n']);
  const reset = breakwater('quota', 'reset', 'none', '--admin', adminUrl);
  expect([await reset.ended(), reset.err]).toEqual([1, 'breakwater: there is no upstream "none"\n']);
});
