import { closeSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { breakwater, run, temporaryFolder } from '../support/command.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { makePipe } from '../support/pipe.ts';

const config = (url: string, more = '') => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams:
  api: { url: "${url}", allow_private: true }
${more}`;

async function started(yaml: string, more: Readonly<Record<string, string>> = {}) {
  const folder = temporaryFolder({ 'config.yaml': yaml, ...more });
  const file = join(folder, 'config.yaml');
  const proxy = breakwater('start', '--config', file);
  const [, url = ''] = await proxy.untilPrinted(/listening on (http:[^"]+)/);
  return { proxy, url, file };
}

test('starts, serves, drains on SIGTERM and exits with 0', async () => {
  const origin = await startOrigin(ok('hello'));
  const { proxy, url } = await started(config(origin.url));
  expect(await (await fetch(`${url}/api/x`)).text()).toBe('hello');
  proxy.child.kill('SIGTERM');
  expect(await proxy.ended()).toBe(0);
  expect(proxy.out).toContain('stopped');
});

test('SIGTERM accepts new connections for drain_delay, with readiness false; a second one ends the process', async () => {
  const origin = await startOrigin(ok('hello'));
  const { proxy, url } = await started(config(origin.url, 'drain_delay: 1h\n'));
  const [, admin = ''] = await proxy.untilPrinted(/"admin":"([^"]+)"/);
  proxy.child.kill('SIGTERM');
  await proxy.untilPrinted(/served for another 1h \(drain_delay\)/);
  expect((await fetch(`${admin}/readyz`)).status).toBe(503);
  const reply = await fetch(`${url}/api/x`);
  expect([reply.status, reply.headers.get('connection'), await reply.text()]).toEqual([
    200,
    'close',
    'hello',
  ]);
  proxy.child.kill('SIGTERM');
  expect(await proxy.ended()).toBe(1);
});

test.each([
  ['after the drain', 'drain_delay: 0s', /draining/, []],
  ['at the second signal', 'drain_delay: 1h', /served for another/, ['SIGTERM']],
] as const)(
  'a reload that waits for a pipe does not keep the process: it ends %s',
  async (_, more, said, again) => {
    const { proxy, file } = await started(config('http://127.0.0.1:9', more));
    const pipe = makePipe(join(dirname(file), 'pipe'));
    writeFileSync(file, 'admin_token: ${file:pipe}\n');
    proxy.child.kill('SIGHUP');
    const writer = await pipe.untilRead();
    onTestFinished(() => closeSync(writer));
    proxy.child.kill('SIGTERM');
    await proxy.untilPrinted(said);
    for (const signal of again) proxy.child.kill(signal);
    expect(await proxy.ended()).toBe('SIGKILL');
  },
);

test('reloads on SIGHUP and when the file changes, and refuses a wrong one', async () => {
  const first = await startOrigin(ok('first'));
  const second = await startOrigin(ok('second'));
  const { proxy, url, file } = await started(config(first.url));
  const body = async () => (await fetch(`${url}/api/`)).text();
  expect(await body()).toBe('first');
  proxy.child.kill('SIGHUP');
  await proxy.untilPrinted(/configuration unchanged after reload/);

  writeFileSync(file, config(second.url));
  await proxy.untilPrinted(/configuration reloaded/);
  expect(await body()).toBe('second');

  writeFileSync(file, config(second.url, 'lissten: 1\n'));
  await proxy.untilPrinted(/config\.yaml:\d+:\d+ {2}lissten: unknown key; did you mean \\"listen\\"/);
  await proxy.untilPrinted(/the new configuration is refused; the running one stays in use/);
  expect(await body()).toBe('second');
});

test('reloads a changed preset file, and refuses an invalid one', async () => {
  const origin = await startOrigin(status(503), ok('rescued'), status(503));
  const folder = temporaryFolder({
    'config.yaml': config(origin.url).replace('allow_private', 'preset: ./own.yaml, allow_private'),
    'own.yaml': 'retry: { safe: true, backoff: { base: 0ms, overloaded_base: 0ms } }\n',
  });
  const proxy = breakwater('start', '--config', join(folder, 'config.yaml'));
  const [, url = ''] = await proxy.untilPrinted(/listening on (http:[^"]+)/);
  const post = () => fetch(`${url}/api/`, { method: 'POST', body: 'x' });
  expect(await (await post()).text()).toBe('rescued');

  writeFileSync(join(folder, 'own.yaml'), 'retry: { safe: false }\n');
  await proxy.untilPrinted(/configuration reloaded/);
  expect((await post()).headers.get('breakwater-gave-up')).toBe('not_idempotent');

  writeFileSync(join(folder, 'own.yaml'), 'retry: { save: true }\n');
  await proxy.untilPrinted(/own\.yaml:1:10 {2}retry\.save: unknown key; did you mean \\"safe\\"/);
  await proxy.untilPrinted(/the new configuration is refused; the running one stays in use/);
});

test('reloads a new file that a pattern of include matches, and says which file is wrong', async () => {
  const origin = await startOrigin(ok('hello'));
  const { proxy, url, file } = await started(`include: parts/*.yaml\n${config(origin.url)}`, {
    'parts/log.yaml': 'log: { slow: 1s }',
  });
  expect((await fetch(`${url}/more/`)).status).toBe(404);
  const part = join(dirname(file), 'parts', 'more.yaml');
  const more = (lines: string) =>
    `upstreams: { more: { url: "${origin.url}", allow_private: true${lines} } }`;
  writeFileSync(part, more(', retires: 3'));
  await proxy.untilPrinted(/parts\/more\.yaml:1:\d+ {2}upstreams\.more\.retires: unknown key/);
  writeFileSync(part, more(''));
  await proxy.untilPrinted(/configuration reloaded/);
  expect(await (await fetch(`${url}/more/`)).text()).toBe('hello');
});

test('SIGHUP during the start reloads once after the start', async () => {
  const origin = await startOrigin();
  // Sends the signal at the first look at the file, and never again.
  const preload = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const read = fs.readFileSync;
    fs.readFileSync = (path, ...rest) => {
      if (String(path).endsWith('config.yaml')) {
        fs.readFileSync = read;
        syncBuiltinESMExports();
        process.kill(process.pid, 'SIGHUP');
      }
      return read(path, ...rest);
    };
    syncBuiltinESMExports();
  `;
  const folder = temporaryFolder({ 'config.yaml': config(origin.url), 'preload.mjs': preload });
  const args = ['src/main.ts', 'start', '--config', join(folder, 'config.yaml')];
  const proxy = run(process.execPath, ['--import', join(folder, 'preload.mjs'), ...args]);
  await proxy.untilPrinted(/listening on/);
  await proxy.untilPrinted(/configuration unchanged after reload/);
  proxy.child.kill('SIGTERM');
  expect(await proxy.ended()).toBe(0);
});

test('names the address in use, and the fix', async () => {
  const origin = await startOrigin();
  const folder = temporaryFolder({
    'config.yaml': config(origin.url).replace('127.0.0.1:0', `127.0.0.1:${origin.port}`),
  });
  const proxy = breakwater('start', '--config', join(folder, 'config.yaml'));
  expect(await proxy.ended()).toBe(1);
  expect(proxy.err).toContain(
    `cannot listen on 127.0.0.1:${origin.port}: the address is in use; stop the other process`,
  );
});

test('names the demo API’s address in use, and its setting', async () => {
  const origin = await startOrigin();
  const folder = temporaryFolder({ 'config.yaml': config(origin.url).replace('api:', 'demo:') });
  const proxy = breakwater('start', '--demo', '--config', join(folder, 'config.yaml'));
  expect(await proxy.ended()).toBe(1);
  expect(proxy.err).toMatch(
    new RegExp(`the demo API cannot listen on 127.0.0.1:${origin.port}: .* "demo" \\(DEMO_URL `),
  );
  expect(proxy.err).not.toContain('"listen"');
});

test('an invalid config prints every error with place and fix, and exits with 1', async () => {
  const folder = temporaryFolder({
    'config.yaml':
      'listen: 8080\nupstreams:\n  api:\n    url: https://api.example.com\n    timeouts: { attempt: 10 }\n    retires: {}\n',
  });
  for (const command of ['start', 'check']) {
    const proxy = breakwater(command, '--config', join(folder, 'config.yaml'));
    expect(await proxy.ended()).toBe(1);
    expect(proxy.err).toMatch(/config\.yaml:1:9 {2}listen: /);
    expect(proxy.err).toMatch(/config\.yaml:5:26 {2}upstreams\.api\.timeouts\.attempt: .*10s/);
    expect(proxy.err).toMatch(
      /config\.yaml:6:5 {2}upstreams\.api\.retires: unknown key; did you mean "retry"/,
    );
  }
});

test('the command line has help, and exit code 2 for wrong usage', { timeout: 60_000 }, async () => {
  const help = breakwater('--help');
  expect(await help.ended()).toBe(0);
  expect(help.out).toContain('explain METHOD PATH');
  const unknown = breakwater('strat');
  expect(await unknown.ended()).toBe(2);
  expect(unknown.err).toContain('unknown command "strat"');
  const option = breakwater('start', '--confg', 'x');
  expect(await option.ended()).toBe(2);
  expect(option.err).toContain('--confg');
  const startHelp = breakwater('start', '--help');
  expect(await startHelp.ended()).toBe(0);
  expect(startHelp.out).toContain('--demo');
});

test.each([
  ['--help'],
  ['schema'],
  ['presets'],
  ['check'],
  ['explain', 'GET', '/demo/flaky'],
  ['simulate', 'demo', '--rps', '8', '--for', '5s'],
])('%s ends as usual if its output is not read', async (...args) => {
  const command = breakwater(...args);
  command.child.stdout?.destroy();
  expect(await command.ended()).toBe(0);
  expect(command.err).not.toContain('EPIPE');
});

test('wrong usage ends as usual if its errors are not read', async () => {
  const command = breakwater('strat');
  command.child.stderr?.destroy();
  expect(await command.ended()).toBe(2);
});

test.each([
  ['v20.20.2', 1],
  ['v24.8.0', 1],
  ['v24.9.0', 0],
  ['v26.0.0', 0],
])('on Node %s it ends with %i', async (version, code) => {
  const asIf = `data:text/javascript,Object.defineProperty(process, 'version', { value: '${version}' })`;
  const command = run(process.execPath, ['--import', asIf, 'src/main.ts', '--help']);
  expect([await command.ended(), command.err]).toEqual([
    code,
    code === 0
      ? ''
      : `breakwater: needs Node 24.9 or newer; this is ${version}. npm can bring it: npx -p node@24 -p breakwater breakwater\n`,
  ]);
});
