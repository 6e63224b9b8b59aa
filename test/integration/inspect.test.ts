import { expect, onTestFinished, test } from 'vitest';
import { Inspector } from '../../src/cli/inspect-thread.ts';
import { endThreads, threadsRun } from '../../src/runtime/threads.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { FakeClock } from '../support/fake-clock.ts';

const CONFIG = `admin_token: ${'s3cret'.repeat(3)}
log: { slow: 3s }
defaults: { retry: { attempts: 4 } }
upstreams:
  api:
    url: https://api.example
    retry: { backoff: { base: 50ms } }
    routes:
      - { name: reports, match: { path: /reports/** }, timeouts: { total: 5s } }
`;

/** Aliases that unfold to more than a million values. */
const BOMB = Array.from(
  { length: 6 },
  (_, i) =>
    `a${i}: &a${i} [${Array(10)
      .fill(i === 0 ? 'x' : `*a${i - 1}`)
      .join()}]`,
).join('\n');

interface Values {
  readonly process: readonly Value[];
  readonly values: readonly Value[];
  readonly upstreams: unknown;
}
interface Value {
  readonly key: string;
  readonly shown: string;
  readonly origin: string;
}

async function asked(path: string, init: RequestInit = {}, yaml = CONFIG) {
  const proxy = await startBreakwater(yaml);
  const headers = { authorization: `Bearer ${'s3cret'.repeat(3)}`, 'content-type': 'application/json' };
  const answer = await fetch(proxy.adminUrl + path, { ...init, headers });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

const simulate = (body: object, yaml = CONFIG) =>
  asked('/api/simulate', { method: 'POST', body: JSON.stringify(body) }, yaml);

test('every value has its origin, secrets are redacted', async () => {
  const { status, body } = await asked('/api/config/values?upstream=api&route=reports');
  const { process, values, upstreams } = body as unknown as Values;
  const of = (all: readonly Value[], key: string) => {
    const found = all.find((one) => one.key === key);
    return found && [found.shown, found.origin];
  };
  expect([status, upstreams]).toEqual([200, [{ name: 'api', routes: ['reports', 'default'] }]]);
  expect(of(process, 'listen')).toEqual(['127.0.0.1:0', 'config.yaml:1']);
  expect(of(process, 'admin_token')).toEqual(['[redacted]', 'config.yaml:3']);
  expect(of(process, 'log.slow')).toEqual(['3s', 'config.yaml:4']);
  expect(of(process, 'drain_timeout')).toEqual(['30s', 'built-in']);
  expect(of(values, 'url')).toEqual(['https://api.example', 'config.yaml:8 (upstreams.api)']);
  expect(of(values, 'retry.attempts')).toEqual(['4', 'config.yaml:5 (defaults)']);
  expect(of(values, 'retry.backoff.base')).toEqual(['50ms', 'config.yaml:9 (upstreams.api)']);
  expect(of(values, 'timeouts.total')).toEqual(['5s', 'config.yaml:11 (route reports)']);
  expect(JSON.stringify(body)).not.toContain('s3cret');
});

test('a value of the process shows no secret of a URL', async () => {
  const { body } = await asked(
    '/api/config/values',
    {},
    `admin_token: ${'s3cret'.repeat(3)}
durable: { store: 'postgres://user:s3cret@db/breakwater?password=s3cret' }
events: { webhook: 'https://hooks.example/services/s3cret', secret: whsec_czNjcmV0czNjcmV0czNjcmV0czNjcmV0czNjcmV0 }
tracing: { otlp: 'https://otlp.example/s3cret', headers: { authorization: Bearer s3cret } }
upstreams: { api: { url: 'https://api.example' } }
`,
  );
  const { process } = body as unknown as Values;
  const shown = Object.fromEntries(process.map((value) => [value.key, value.shown]));
  expect(shown).toMatchObject({
    'durable.store': 'postgres://[redacted]@db/breakwater?[redacted]',
    'events.webhook': 'https://hooks.example/[redacted]',
    'events.secret': '[redacted]',
    'tracing.otlp': 'https://otlp.example/[redacted]',
  });
  expect(JSON.stringify(body)).not.toMatch(/s3cret|whsec/);
});

test('an upstream that does not exist is 404', async () =>
  expect((await asked('/api/config/values?upstream=nope')).status).toBe(404));

test('an outage is simulated as the command does', async () => {
  const { status, body } = await simulate({ upstream: 'api', for: '5s', rps: '5', fault: 'outage' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ upstream: 'api', config: { figures: { before: { success: 1 } } } });
  expect(body['before']).toBeUndefined();
});

test('with changed settings, the report compares them with the file', async () => {
  const { body } = await simulate({
    upstream: 'api',
    fault: 'flaky=0.5',
    for: '20s',
    rps: '5',
    settings: 'retry: { attempts: 1 }',
  });
  const during = (name: string) =>
    (body[name] as { figures: { during: { success: number } } }).figures.during.success;
  expect(during('before')).toBeGreaterThan(during('config') + 0.2);
});

test.each([
  [{ upstream: 'api', settings: 'retry: { atempts: 1 }' }, 422, '["upstreams.api.retry.atempts: '],
  [{ upstream: 'api', settings: '- 1' }, 400, 'must be keys of the upstream'],
  [{ upstream: 'api', settings: 'a: [' }, 400, 'not YAML'],
  [{ upstream: 'api', settings: BOMB }, 400, 'the settings cannot be read'],
  [{ upstream: 'nope' }, 404, 'there is no upstream'],
  [{ upstream: 'api', route: 'nope' }, 404, 'no route'],
  [{ upstream: 'api', rps: '100000' }, 400, 'more than 60000 calls'],
  [{ upstream: 'api', fault: 'rain' }, 400, 'fault rain: write one of'],
  [{ upstream: 'api', rps: 5 }, 400, 'must be a text of at most'],
  [{ upstream: 'api', speed: '5' }, 400, 'write one of fault, for,'],
])('%j: %i', async (question, status, text) => {
  const { status: got, body } = await simulate(question);
  expect([got, JSON.stringify(body)]).toEqual([status, expect.stringContaining(text) as string]);
});

test('a file with problems is 422 with their lines', async () => {
  const proxy = await startBreakwater("upstreams: { api: { url: 'https://api.example' } }");
  proxy.rewrite('upstreams: { api: { url: nowhere } }');
  const answer = await fetch(`${proxy.adminUrl}/api/config/values`);
  const body = (await answer.json()) as { errors: string[] };
  expect([answer.status, body.errors[0]]).toEqual([422, expect.stringMatching(/^config\.yaml:3:/) as string]);
});

test('in a thread: one question at a time, a few wait, more are refused', async () => {
  const cwd = temporaryFolder({ 'config.yaml': CONFIG });
  onTestFinished(async () => void (await endThreads(systemClock)));
  const inspector = new Inspector({ file: 'config.yaml', cwd, env: {}, demo: false }, systemClock);
  const question = { kind: 'values', parameters: { upstream: 'api' } } as const;
  const answers = await Promise.all(Array.from({ length: 6 }, () => inspector.ask(question)));
  expect(answers.map((answer) => answer.ok)).toEqual([true, true, true, true, false, false]);
  expect(await inspector.ask(question)).toMatchObject({ ok: true, body: { file: 'config.yaml' } });
});

test('a thread that takes too long is ended', async () => {
  const cwd = temporaryFolder({ 'config.yaml': CONFIG });
  onTestFinished(async () => void (await endThreads(systemClock)));
  const clock = new FakeClock();
  const inspector = new Inspector({ file: 'config.yaml', cwd, env: {}, demo: false }, clock);
  const parameters = { upstream: 'api', rps: '700', for: '30s' };
  const answer = inspector.ask({ kind: 'simulate', parameters });
  await clock.untilWaiting('inspect-thread.ts', 30_000);
  await clock.advance(30_000);
  expect(await answer).toMatchObject({ ok: false, status: 503, detail: 'no answer within 30s' });
  while (threadsRun()) await new Promise((resolve) => setImmediate(resolve));
});

test('without the file, the demo has its own configuration', async () => {
  onTestFinished(async () => void (await endThreads(systemClock)));
  const inspector = new Inspector(
    { file: 'config.yaml', cwd: temporaryFolder({}), env: {}, demo: true },
    systemClock,
  );
  const answer = await inspector.ask({ kind: 'values', parameters: { upstream: 'demo' } });
  expect(answer).toMatchObject({ ok: true, body: { upstreams: [{ name: 'demo' }] } });
});
