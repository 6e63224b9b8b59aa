import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { shownConfig } from '../../src/config/show/redacted-config.ts';
import { explain } from '../../src/cli/explain.ts';
import { runCommand } from '../support/run-command.ts';
import { temporaryFolder } from '../support/command.ts';

const UPSTREAM = 'upstreams: { api: { url: https://api.example, quota: 100/s } }\n';
const load = (shared: string) => loadConfig('config.yaml', {}, () => `${shared}\n${UPSTREAM}`);

test.each([
  'redis://127.0.0.1:6379',
  'rediss://user:pass@redis.example/3',
  'postgres://breakwater@db.example/app',
])('%s is a store', (store) => {
  const loaded = load(`shared: { store: '${store}', replicas: 3 }`);
  expect(loaded.ok && loaded.config.shared).toEqual({
    store,
    name: 'breakwater',
    replicas: 3,
    secret: undefined,
  });
});

test('without the section, nothing is shared', () => {
  const loaded = load('');
  expect(loaded.ok && loaded.config.shared).toBe(undefined);
});

test.each([
  [
    'shared: { store: mysql://user:hunter2@db/app }',
    'shared.store',
    /is not a supported store; write for example redis:/,
  ],
  ['shared: { store: ./file.db }', 'shared.store', /is not a supported store/],
  ['shared: { name: a }', 'shared.store', /is missing; write for example store: redis:/],
  ["shared: { store: 'redis://:hunter2%@a' }", 'shared.store', /write %25/],
  ["shared: { store: 'redis://a', secret: short }", 'shared.secret', /has fewer than 16 characters/],
  ["shared: { store: 'redis://a', replicas: 0 }", 'shared.replicas', /1 to 1000/],
])('%s is refused with its place', (shared, path, message) => {
  const loaded = load(shared);
  if (loaded.ok) throw new Error('it was accepted');
  expect(loaded.problems).toEqual([
    expect.objectContaining({ line: 1, path, message: expect.stringMatching(message) }),
  ]);
  expect(JSON.stringify(loaded.problems)).not.toContain('hunter2');
});

test('explain and the admin API show the store, without password and secret', async () => {
  const yaml = `shared: { store: 'redis://user:hunter2@redis.example:6379/1', secret: a-secret-of-many-characters }\n${UPSTREAM}`;
  const cwd = temporaryFolder({ 'config.yaml': yaml });
  const { out } = await runCommand(explain, ['GET', '/api/x'], { cwd, env: {} });
  expect(out).toContain(
    'What the replicas share\n  quota 100/s: shared with the replicas named breakwater through redis://[redacted]@redis.example:6379/1\n',
  );
  const loaded = loadConfig('config.yaml', {}, () => yaml);
  if (!loaded.ok) throw new Error('it was refused');
  const shown = JSON.stringify(shownConfig(loaded.config));
  expect(shown).toContain('redis.example');
  expect(out + shown).not.toContain('hunter2');
  expect(out + shown).not.toContain('a-secret-of');
});

test.each([
  ['', 'not shared, because shared.secret is missing', ['dedupe']],
  [', secret: a-secret-of-many-characters', 'shared encrypted with the replicas named breakwater', []],
])('explain and check say whether replies of dedupe are shared%s', async (secret, expected, hints) => {
  const auth = 'auth: { oauth2: { token_url: "https://login.example", client_id: a, client_secret: b } }';
  const yaml = `shared: { store: 'redis://a'${secret} }\nupstreams: { api: { url: https://api.example, retry: { idempotency_key: pass }, dedupe: 1h, ${auth} } }\n`;
  const cwd = temporaryFolder({ 'config.yaml': yaml });
  const { out } = await runCommand(explain, ['POST', '/api/x'], { cwd, env: {} });
  expect(out).toContain(`dedupe, keys in use and replies: ${expected}`);
  expect(out).toContain(`auth.oauth2, access tokens: ${expected}`);
  const loaded = loadConfig('config.yaml', {}, () => yaml);
  expect(loaded.ok && loaded.hints).toEqual(
    hints.map((word) =>
      expect.objectContaining({ line: 1, path: 'shared.store', message: expect.stringContaining(word) }),
    ),
  );
});

test('a quota in shadow mode is not shared, so explain does not say that it is', async () => {
  const yaml =
    "shared: { store: 'redis://a' }\nupstreams: { api: { url: https://api.example, quota: { windows: 100/s, mode: shadow } } }\n";
  const cwd = temporaryFolder({ 'config.yaml': yaml });
  const { out } = await runCommand(explain, ['GET', '/api/x'], { cwd, env: {} });
  expect(out).toContain('quota.mode');
  expect(out).not.toContain('What the replicas share');
});
