import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Good, loadConfig, readingIn } from '../../src/config/load.ts';
import { loadInThread, type ReloadedConfig } from '../../src/config/load-thread.ts';
import { PRESETS } from '../../src/presets/presets.ts';
import { temporaryFolder } from '../support/command.ts';
import { makePipe } from '../support/pipe.ts';
import { FakeClock } from '../support/fake-clock.ts';

const clock = new FakeClock();

function good(loaded: ReloadedConfig): Pick<Good, 'config' | 'warnings' | 'files'> {
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

const requestFor = (cwd: string, env: Readonly<Record<string, string | undefined>> = {}) => ({
  file: 'config.yaml',
  cwd,
  env,
});

function runningIn(cwd: string) {
  return good(loadConfig('config.yaml', {}, readingIn(cwd))).config;
}

const upstream = (name: string, routes: number, total = '30s') =>
  [
    `  ${name}:`,
    '    url: https://api.example.com',
    `    mount: { path: /${name} }`,
    ...(routes > 0 ? ['    routes:'] : []),
    ...Array.from({ length: routes }, (_, index) => [
      `      - match: { path: /r${index} }`,
      `        timeouts: { total: ${total} }`,
    ]).flat(),
    '',
  ].join('\n');

const emptyFolder = () => temporaryFolder({ 'config.yaml': `upstreams:\n${upstream('none', 0)}` });

/** Every part of a configuration that has a form of its own. */
const RICH = `
admin_token: \${TOKEN}
defaults:
  retry: { statuses: [5xx, 429], grpc_statuses: [unavailable] }
  errors: { rules: [{ status: [400], body: { /code: [busy] }, means: retry, wait: 1s }] }
  overrides: { attempts: 4 }
upstreams:
${Object.keys(PRESETS)
  .map((name) => `  of-${name}: { url: 'https://${name}.example.com', preset: ${name} }\n`)
  .join('')}
  api:
    url: https://api.example.com
    headers: { set: { authorization: 'Bearer \${file:secret}' } }
    allow: [GET /v1/**, POST /v1/jobs]
    quota: { windows: [10/s] }
    cache: { ttl: 1m, vary: [accept] }
    routes:
      - match: { method: GET, path: /v1/a }
        fallback: { reply: { status: 200, headers: { x-a: b }, body: '{}' } }
        hedge: { after: 100ms }
      - match: { method: GET, path: /v1/b }
        fallback: { upstream: spare, path: /x }
      - match: { method: POST, path: /v1/jobs }
        retry: { idempotency_key: inject }
        durable: { mode: on, poll: { target: header:location, until: { success: [{ status: [200] }] } } }
  spare: { url: 'https://spare.example.com' }
`;

test('the thread gives what loading here gives, whatever is configured', async () => {
  const env = { TOKEN: 'a token of more than 16 characters' };
  const cwd = temporaryFolder({ 'config.yaml': RICH, secret: 's3cret\n' });
  const here = good(loadConfig('config.yaml', env, readingIn(cwd)));
  const there = good(await loadInThread(requestFor(cwd, env), runningIn(emptyFolder()), { clock }));
  expect(there.config).toStrictEqual(here.config);
  expect(there.warnings).toEqual(here.warnings);
  expect([...there.files]).toEqual([...here.files]);
  expect([...there.files.keys()].map((path) => path.replace(/.*\//, ''))).toEqual(['config.yaml', 'secret']);
  expect(isDeeplyFrozen(there.config)).toBe(true);

  // An equal configuration is the same objects, so that nothing of it is built again for being different.
  const again = good(await loadInThread(requestFor(cwd, env), here.config, { clock }));
  again.config.upstreams.forEach((one, index) => expect(one).toBe(here.config.upstreams[index]));
});

function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen);
}

test('routes arrive in their order and at their upstream; those that have not changed are the running ones', async () => {
  const sizes = [0, 60, 1, 0, 24, 26, 3];
  const names = sizes.map((_, index) => `up${index}`);
  const text = (total: string) =>
    `upstreams:\n${sizes.map((size, index) => upstream(`up${index}`, size, index === 4 ? total : '30s')).join('')}`;
  const running = runningIn(temporaryFolder({ 'config.yaml': text('30s') }));
  const cwd = temporaryFolder({ 'config.yaml': text('31s') });
  const { config } = good(await loadInThread(requestFor(cwd), running, { clock }));
  expect(config).toStrictEqual(runningIn(cwd));
  const shared = config.upstreams.filter((one, index) => one === running.upstreams[index]);
  expect(shared.map(({ name }) => name)).toEqual(names.filter((name) => name !== 'up4'));
  // Only the route for all other calls writes no timeout.
  const same = config.upstreams[4]?.routes.filter((one) => running.upstreams[4]?.routes.includes(one));
  expect(same?.map(({ name }) => name)).toEqual(['default']);
});

test('problems come back with place and digests, and without the secret', async () => {
  const cwd = temporaryFolder({
    'config.yaml': 'upstreams: { api: { url: "${KEY}", retires: 3 } }\n',
  });
  const env = { KEY: 'sk-very-secret' };
  const loaded = await loadInThread(requestFor(cwd, env), runningIn(emptyFolder()), { clock });
  const here = loadConfig('config.yaml', env, readingIn(cwd));
  expect(loaded).toEqual(here);
  expect(loaded.ok).toBe(false);
  expect(JSON.stringify(loaded)).not.toContain('very-secret');
});

test.for([
  ['ends before it has sent anything', 'process.exit(0)', 'ended early'],
  ['throws', 'throw new Error("out of order")', 'out of order'],
  [
    'ends between two messages',
    `const { parentPort } = process.getBuiltinModule('node:worker_threads');
     parentPort.on('message', () => process.exit(1));
     parentPort.postMessage({ ok: true, config: {}, upstreams: [{ upstream: {}, routes: 1 }], files: new Map() });`,
    'ended early',
  ],
] as const)('a thread that %s is an error', async ([, code, message]) => {
  const folder = temporaryFolder({ 'script.mjs': code });
  const script = new URL(`file://${join(folder, 'script.mjs')}`);
  await expect(
    loadInThread(requestFor(emptyFolder()), runningIn(emptyFolder()), { clock, script }),
  ).rejects.toThrow(message);
});

test('a thread that waits for a file is given up after ten seconds, and the file is named', async () => {
  const cwd = temporaryFolder({ 'config.yaml': 'upstreams: { api: { url: "${file:pipe}" } }\n' });
  const pipe = makePipe(join(cwd, 'pipe'));
  const loading = loadInThread(requestFor(cwd), runningIn(emptyFolder()), { clock });
  loading.catch(() => undefined);
  const writer = await pipe.untilRead();
  await clock.untilWaiting('load-thread.ts', 10_000);
  await clock.advance(9_999);
  expect(clock.pending).toBe(2);
  await clock.advance(1);
  await expect(loading).rejects.toThrow(/^pipe takes longer than 10s; it may be a pipe/);
  // The thread cannot end before its read has.
  closeSync(writer);
});

test('a thread that only computes has five minutes', async () => {
  const folder = temporaryFolder({
    'script.mjs': `const { parentPort } = process.getBuiltinModule('node:worker_threads');
      parentPort.postMessage({ reading: 'config.yaml' });
      parentPort.postMessage({ reading: undefined });
      setInterval(() => undefined, 1_000);`,
  });
  const script = new URL(`file://${join(folder, 'script.mjs')}`);
  const loading = loadInThread(requestFor(emptyFolder()), runningIn(emptyFolder()), { clock, script });
  loading.catch(() => undefined);
  await clock.advance(299_999);
  expect(clock.pending).toBe(1);
  await clock.advance(1);
  await expect(loading).rejects.toThrow('not done after 5m');
});
