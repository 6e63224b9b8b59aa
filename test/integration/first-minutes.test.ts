import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check } from '../../src/cli/check.ts';
import { completion } from '../../src/cli/completion.ts';
import { health } from '../../src/cli/health.ts';
import { init } from '../../src/cli/init.ts';
import { presets } from '../../src/cli/presets.ts';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { runCommand } from '../support/run-command.ts';

const MAIN = join(process.cwd(), 'src/main.ts');

describe('init', () => {
  const written = async (...args: string[]) => {
    const cwd = temporaryFolder();
    const ran = await runCommand(init, args, { cwd });
    return { ...ran, text: ran.code === 0 ? readFileSync(join(cwd, 'config.yaml'), 'utf8') : '' };
  };

  test.each([
    [
      ['--upstream', 'https://api.stripe.com'],
      ['  stripe:', '    url: https://api.stripe.com', '    preset: stripe'],
    ],
    [
      ['--upstream', 'api.example.co.uk/v2/'],
      ['  example:', '    url: https://api.example.co.uk/v2'],
    ],
    [
      ['--upstream', 'https://acme.myshopify.com', '--name', 'shop'],
      ['  shop:', '    preset: shopify'],
    ],
    [
      ['--upstream', 'https://api.stripe.com', '--preset', 'none'],
      ['  stripe:', '    url: https://api.stripe.com\n    #'],
    ],
    [
      ['--upstream', 'http://127.0.0.1:9000'],
      ['  api:', '    allow_private: true'],
    ],
    [
      ['--upstream', 'http://10.0.0.7:3000'],
      ['  api:', '    allow_private: true'],
    ],
    [[], ['  demo:', '    url: http://127.0.0.1:8090']],
  ])('%j writes a file that check accepts without a warning', async (args, lines) => {
    const { code, text } = await written(...args);
    expect(code).toBe(0);
    for (const line of lines) expect(text).toContain(`\n${line}`);
    const checked = await runCommand(check, ['-', '--strict'], { cwd: '/', input: text });
    expect(checked.code).toBe(0);
  });

  test('replaces no file', async () => {
    const cwd = temporaryFolder({ 'config.yaml': 'mine' });
    const { code, err } = await runCommand(init, [], { cwd });
    expect([code, readFileSync(join(cwd, 'config.yaml'), 'utf8')]).toEqual([1, 'mine']);
    expect(err).toContain('config.yaml exists');
  });

  test.each([
    [['--upstream', 'https://'], 'is not a URL'],
    [['--upstream', 'https://a.example', '--preset', 'strpe'], 'did you mean "stripe"?'],
    [['--upstream', 'https://a.example', '--name', 'a b'], 'upstreams'],
  ])('%j says what is wrong and writes nothing', async (args, why) => {
    const { code, err } = await written(...args);
    expect(code).toBe(1);
    expect(err).toContain(why);
  });
});

describe('check', () => {
  const PLAIN = 'upstreams: { pay: { url: https://api.stripe.com } }\n';
  const checked = (input: string, ...args: string[]) =>
    runCommand(check, ['-', ...args], { cwd: '/', input });

  test('reads the standard input, and suggests a preset', async () => {
    expect(await checked(PLAIN)).toEqual({
      code: 0,
      out: 'stdin: ok (1 upstream, 1 route)\n',
      err: 'hint: stdin:1:26  upstreams.pay.url: this API has a preset; write preset: stripe\n',
    });
    expect((await checked(PLAIN.replace('.com', '.com, preset: stripe'))).err).toBe('');
  });

  test('--json has the same, and no line of the file', async () => {
    const { code, out } = await checked('token: {sk_live_4242}x', '--json');
    expect(code).toBe(1);
    expect(out).not.toContain('sk_live');
    expect(JSON.parse(out)).toMatchObject({ ok: false, file: 'stdin', problems: [{ line: 1, column: 22 }] });
    expect(JSON.parse((await checked(PLAIN, '--json')).out)).toMatchObject({
      ok: true,
      upstreams: 1,
      routes: 1,
    });
  });

  test('an error of syntax is shown with its line and a caret', async () => {
    const { err } = await checked('listen: 127.0.0.1:8080\nadmin: {host}:81\n');
    expect(err).toMatch(/^stdin:2:14 {2}.*quote it.*\n {2}2 \| admin: \{host\}:81\n {19}\^\n$/);
  });

  test('--strict makes a failure of a warning, and none of a hint', async () => {
    const open = `listen: 0.0.0.0:8080
upstreams: { pay: { url: https://a.example, headers: { set: { authorization: Bearer x } } } }\n`;
    expect((await checked(open)).code).toBe(0);
    expect(await checked(open, '--strict')).toMatchObject({
      code: 1,
      err: expect.stringContaining('warning: stdin:1:9'),
    });
    expect((await checked(PLAIN, '--strict')).code).toBe(0);
  });
});

test.each([
  ['stripe', 'about:'],
  ['api.stripe.com', '- api.stripe.com'],
  ['https://acme.myshopify.com/admin', '"*.myshopify.com"'],
])('presets %s finds the preset', async (name, text) => {
  expect((await runCommand(presets, [name], { cwd: '/' })).out).toContain(text);
});

test('start --demo needs no file, says where the page is, and loads a file that is written later', async () => {
  const cwd = temporaryFolder();
  const env = {
    BREAKWATER_LISTEN: '127.0.0.1:0',
    BREAKWATER_ADMIN: '127.0.0.1:0',
    DEMO_URL: 'http://127.0.0.1:0',
  };
  const proxy = run(process.execPath, [MAIN, 'start', '--demo'], { cwd, env });
  await proxy.untilPrinted(/listening on/);
  expect(proxy.out).toMatch(/the page for people: http:\/\/127\.0\.0\.1:\d+\//);
  writeFileSync(
    join(cwd, 'config.yaml'),
    'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nupstreams: { api: { url: https://a.example } }\n',
  );
  await proxy.untilPrinted(/configuration reloaded/);
  proxy.child.kill('SIGTERM');
  expect(await proxy.ended()).toBe(0);
});

test('start without a file says how to write one', async () => {
  const proxy = run(process.execPath, [MAIN, 'start'], { cwd: temporaryFolder() });
  expect(await proxy.ended()).toBe(1);
  expect(proxy.err).toContain('config.yaml  cannot be read: no such file; write one with "breakwater init"');
});

test('health tells whether a proxy runs and is ready', async () => {
  const proxy = await startBreakwater(apiConfig(await startOrigin(ok())));
  const cwd = temporaryFolder({
    'config.yaml': `admin: ${new URL(proxy.adminUrl).host}\nupstreams: { a: { url: https://a.example } }\n`,
  });
  expect(await runCommand(health, [], { cwd })).toEqual({ code: 0, out: 'ok\n', err: '' });
  expect((await runCommand(health, ['--ready'], { cwd })).code).toBe(0);
  // Without a file, the address is that of the demo.
  const env = { BREAKWATER_ADMIN: new URL(proxy.adminUrl).host };
  expect((await runCommand(health, [], { cwd: temporaryFolder(), env })).code).toBe(0);
  await proxy.app.stop();
  expect(await runCommand(health, [], { cwd })).toMatchObject({
    code: 1,
    err: expect.stringContaining('no proxy runs at'),
  });
});

test.each(['bash', 'zsh', 'fish'])('completion %s has every command', async (shell) => {
  const { out } = await runCommand(completion, [shell], { cwd: '/' });
  for (const command of ['init', 'start', 'check', 'health', 'completion']) expect(out).toContain(command);
});
