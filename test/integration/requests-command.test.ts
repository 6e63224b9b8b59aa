import { describe, expect, test } from 'vitest';
import { requests } from '../../src/cli/requests.ts';
import {
  describeList,
  describeRequest,
  inShort,
  type Monitor,
  roughly,
} from '../../src/cli/requests-text.ts';
import { breakwater, temporaryFolder } from '../support/command.ts';
import { runCommand } from '../support/run-command.ts';
import { type DurableClient, durableConfig, startDurable } from '../support/durable.ts';
import { ok, startOrigin, status } from '../support/origin.ts';

interface Setting {
  readonly env?: Record<string, string>;
  readonly config?: string;
}

const run = (args: readonly string[], { env = {}, config = '' }: Setting = {}) =>
  runCommand(requests, args, { env, cwd: temporaryFolder({ 'config.yaml': config }) });

/** The file as an operator's shell has it: with the admin address of the running proxy. */
const configOf = ({ proxy }: DurableClient, more = '') =>
  `admin: ${new URL(proxy.adminUrl).host}\n${more}\nupstreams: { api: { url: https://api.example } }\n`;

const idOf = (location: string) => location.split('/').at(-1) ?? '';

/** One that has succeeded, one that has failed, one that waits for two hours. */
async function threeRequests() {
  const origin = await startOrigin(ok('paid'), status(402, {}, 'no money'));
  const client = await startDurable(durableConfig(origin));
  const good = await client.accepted({ 'breakwater-label': 'invoice' });
  await client.done(good);
  const bad = await client.accepted({ 'breakwater-key': 'customer-7' });
  await client.done(bad);
  const later = await client.accepted({ 'breakwater-delay': '2h' });
  const [paid, refused, waiting] = [good, bad, later].map(idOf) as [string, string, string];
  return { client, setting: { config: configOf(client) }, paid, refused, waiting };
}

describe('reads from a running proxy', () => {
  test('a list: newest first, with the time of the next attempt and the reason', async () => {
    const { setting, paid, refused, waiting } = await threeRequests();
    const { code, out } = await run(['list'], setting);
    const lines = out.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(code).toBe(0);
    expect(lines[0]?.slice(0, 3)).toEqual(['ID', 'STATUS', 'NEXT OR RESULT']);
    expect(lines.slice(1, 4).map((cells) => cells[0])).toEqual([waiting, refused, paid]);
    expect(lines[1]?.slice(1, 6)).toEqual([
      'queued',
      expect.stringMatching(/^in (2 h|1\d\d min) \(not_before\)$/),
      '0 of 50',
      'api/default',
      'PUT /orders',
    ]);
    expect(lines[2]?.slice(1, 4)).toEqual(['failed', 'not_retryable: 402, 8 bytes', '1 of 50']);
    expect(lines[3]?.slice(1, 3)).toEqual(['succeeded', '200, 4 bytes']);
    expect(lines[3]?.at(-1)).toBe('invoice');
  });

  test('a list by filters, page by page', async () => {
    const { setting, paid, refused, waiting } = await threeRequests();
    const listed = async (...args: string[]) => {
      const { out } = await run(['list', '--json', ...args], setting);
      const page = JSON.parse(out) as { requests: Monitor[]; cursor?: string };
      return { ids: page.requests.map(({ id }) => id), cursor: page.cursor };
    };
    expect((await listed('--status', 'failed,succeeded')).ids).toEqual([refused, paid]);
    expect((await listed('--label', 'invoice')).ids).toEqual([paid]);
    expect((await listed('--key', 'customer-7')).ids).toEqual([refused]);
    expect((await listed('--kind', 'callback')).ids).toEqual([]);
    expect((await listed('--parent', paid)).ids).toEqual([]);
    expect((await listed('--sort', 'next')).ids).toEqual([waiting]);
    expect((await listed('--min-attempts', '1')).ids).toEqual([refused, paid]);
    expect((await listed('--since', '1h', '--route', 'api/default')).ids).toHaveLength(3);
    expect((await listed('--until', '1h')).ids).toEqual([]);
    const first = await listed('--limit', '2');
    expect(first.ids).toEqual([waiting, refused]);
    expect((await listed('--limit', '2', '--cursor', first.cursor ?? '')).ids).toEqual([paid]);
    expect((await run(['list', '--limit', '2'], setting)).err).toContain(`--cursor ${first.cursor}`);
    expect((await run(['list', '--label', 'none'], setting)).out).toBe('no requests\n');
  });

  test('one request: its status and every attempt', async () => {
    const origin = await startOrigin(status(503), status(429), ok('paid'));
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted({ 'x-request-id': 'app-17' });
    await client.done(location);
    const setting = { config: configOf(client) };
    const { code, out } = await run(['show', idOf(location)], setting);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^req_[0-9a-f]{32}\n {2}status +succeeded: 200, 4 bytes\n {2}request id +app-17\n {2}route +api\/default\n/,
    );
    const found = await run(['list', '--request-id', 'app-17'], setting);
    expect(found.out).toContain(idOf(location));
    expect((await run(['list', '--request-id', 'app-18'], setting)).out).toBe('no requests\n');
    const rows = out.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(rows.filter(([n]) => /^\d$/.test(n ?? '')).map((row) => row.slice(3))).toEqual([
      ['503', 'waited 1 ms (backoff)'],
      ['429', 'waited 1 ms (backoff)'],
      ['200'],
    ]);
    expect(JSON.parse((await run(['show', idOf(location), '--json'], setting)).out)).toMatchObject({
      id: idOf(location),
      attempts: { made: 3 },
    });
    const attempts = await run(['attempts', idOf(location), '--json'], setting);
    expect(JSON.parse(attempts.out)).toMatchObject({ attempts: [{ n: 1 }, { n: 2 }, { n: 3 }] });
  });

  test('the body of the response, and nothing else on stdout', async () => {
    const { setting, paid, waiting } = await threeRequests();
    expect(await run(['response', paid], setting)).toEqual({ code: 0, out: 'paid', err: '200, 4 bytes\n' });
    expect(await run(['response', waiting], setting)).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/there is no response: queued: in .* \(not_before\)/),
    });
  });
});

describe('changes requests of a running proxy', () => {
  test('sends a waiting request now', async () => {
    const { client, setting, waiting } = await threeRequests();
    const { code, out } = await run(['retry', waiting], setting);
    expect([code, out]).toEqual([0, expect.stringMatching(new RegExp(`^${waiting}: queued: now`))]);
    expect((await client.done(`/_breakwater/requests/${waiting}`)).attempts.made).toBe(1);
  });

  test('sends a succeeded request again only with --force', async () => {
    const { setting, paid } = await threeRequests();
    expect(await run(['retry', paid], setting)).toMatchObject({
      code: 1,
      err: `breakwater: ${paid}: the request succeeded; --force sends it again\n`,
    });
    expect((await run(['retry', paid, '--force'], setting)).code).toBe(0);
  });

  test('cancels and deletes requests, even if one of them fails', async () => {
    const { client, setting, paid, refused, waiting } = await threeRequests();
    const { code, out, err } = await run(['cancel', paid, waiting], setting);
    expect([code, out]).toEqual([1, expect.stringContaining(`${waiting}: cancelled`)]);
    expect(err).toBe(`breakwater: ${paid}: the request is already succeeded\n`);
    expect(await run(['delete', refused, paid], setting)).toEqual({
      code: 0,
      out: `${refused}: deleted\n${paid}: deleted\n`,
      err: '',
    });
    expect((await client.monitor(`/_breakwater/requests/${paid}`)).erased).toBe(true);
  });

  test('retries or cancels all matching requests, up to the limit', async () => {
    const { client, setting, refused, waiting } = await threeRequests();
    const cancelled = await run(['cancel', '--status', 'queued,waiting', '--limit', '10'], setting);
    expect([cancelled.code, cancelled.out]).toEqual([0, '1 of 1 matching requests cancelled\n']);
    expect((await client.monitor(`/_breakwater/requests/${waiting}`)).status).toBe('cancelled');
    const again = await run(['retry', '--status', 'failed', '--limit', '10', '--json'], setting);
    expect(JSON.parse(again.out)).toEqual({ matched: 1, changed: 1 });
    expect((await client.done(`/_breakwater/requests/${refused}`)).attempts.made).toBe(2);
  });
});

describe('reports a problem', () => {
  test('an unknown id', async () => {
    const { setting } = await threeRequests();
    for (const action of ['show', 'attempts', 'response', 'retry', 'cancel', 'delete']) {
      const { code, out, err } = await run([action, 'req_none'], setting);
      expect([code, out, err]).toEqual([1, '', expect.stringContaining('there is no such request')]);
    }
  });

  test('no proxy at the address', async () => {
    const origin = await startOrigin();
    const { host } = new URL(origin.url);
    await origin.close();
    const { code, err } = await run(['list', '--admin', host]);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/^breakwater: no proxy runs at http:.*--admin\n$/),
    ]);
  });

  test('another server at the address', async () => {
    const origin = await startOrigin(ok('<html>'));
    const { code, err } = await run(['list', '--admin', origin.url]);
    expect([code, err]).toEqual([1, expect.stringContaining('is not the admin listener of Breakwater')]);
  });

  test('a proxy without durable routes', async () => {
    const origin = await startOrigin();
    const client = await startDurable(`upstreams: { api: { url: ${origin.url}, allow_private: true } }`);
    const { code, err } = await run(['list'], { config: configOf(client) });
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('has no durable requests under /_breakwater; write'),
    ]);
  });

  test('the admin token: missing, wrong, from the environment, from the configuration', async () => {
    const origin = await startOrigin();
    const client = await startDurable(durableConfig(origin, { top: 'admin_token: secret-1' }));
    const named = ['list', '--admin', client.proxy.adminUrl];
    const env = (token: string) => ({ env: { BREAKWATER_ADMIN_TOKEN: token } });
    expect(await run(named)).toMatchObject({
      code: 1,
      err: expect.stringContaining('needs its admin token'),
    });
    const wrong = await run(named, env('other'));
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('refuses this admin token') });
    expect(wrong.err).not.toContain('other');
    expect((await run(named, env('secret-1'))).code).toBe(0);
    expect((await run(['list'], { config: configOf(client, 'admin_token: secret-1') })).code).toBe(0);
  });

  test.each([
    [[], 'ACTION is missing'],
    [['lst'], 'unknown action "lst"'],
    [['constructor'], 'unknown action "constructor"'],
    [['list', 'req_1'], 'list takes no id "req_1"'],
    [['show'], 'show needs the id of a request'],
    [['show', 'a', 'b'], 'show takes one id only'],
    [['show', '--status', 'failed'], 'show takes no --status'],
    [['retry'], 'retry needs the id'],
    [['cancel', '--status', 'waiting'], 'cancel with filters needs --limit too'],
    [['cancel', 'a', '--limit', '3'], 'cancel takes ids or --limit, not both'],
    [['delete', '--limit', '3'], 'delete takes no --limit'],
    [['list', '--sttus', 'x'], "Unknown option '--sttus'"],
    [['list', '--admin', 'http://u:p@h'], 'is not an address'],
    [['list', '--admin', 'ftp://x'], '--admin "ftp://x" is not an address such as 127.0.0.1:8081'],
  ])('wrong usage: %j', async (args, message) => {
    expect(await run(args)).toMatchObject({ code: 2, out: '', err: expect.stringContaining(message) });
  });

  test('a filter that the proxy refuses is wrong usage', async () => {
    const { setting } = await threeRequests();
    const { code, err } = await run(['list', '--status', 'done'], setting);
    expect([code, err]).toEqual([2, expect.stringContaining('status "done" is not one of queued, running')]);
  });

  test('problems of the configuration, with their places', async () => {
    const { code, err } = await run(['list'], { config: 'upstreams: 5' });
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(/config\.yaml:1.*\n.*name the proxy with --admin/s),
    ]);
  });
});

test('it is a command of the program, with its exit code', async () => {
  const origin = await startOrigin();
  const client = await startDurable(durableConfig(origin));
  const list = breakwater('requests', 'list', '--admin', client.proxy.adminUrl);
  expect([await list.ended(), list.out]).toEqual([0, 'no requests\n']);
  const show = breakwater('requests', 'show', 'req_1', '--admin', client.proxy.adminUrl);
  expect([await show.ended(), show.err]).toEqual([1, 'breakwater: there is no such request\n']);
});

const NOW = Date.UTC(2026, 0, 1);
const WAITING: Monitor = {
  id: 'req_1',
  status: 'waiting',
  done: false,
  route: 'pay/charges',
  labels: ['eu'],
  request: { method: 'POST', path: '/charges', bytes: 17 },
  created_at: new Date(NOW - 90_000).toISOString(),
  deadline: new Date(NOW + 86_400_000).toISOString(),
  attempts: { made: 3, max: 50 },
  next: { at: new Date(NOW + 4_200).toISOString(), reason: 'breaker_open' },
  plan: [new Date(NOW + 4_200).toISOString(), new Date(NOW + 200_000).toISOString()],
};

test('the texts, to the letter', () => {
  expect(describeList([WAITING], NOW)).toBe(
    `  ID     STATUS   NEXT OR RESULT           ATTEMPTS  ROUTE        REQUEST        ACCEPTED  LABELS
  req_1  waiting  in 4.2 s (breaker_open)  3 of 50   pay/charges  POST /charges  90 s ago  eu\n`,
  );
  const attempts = [
    { n: 1, at: WAITING.created_at, ms: 12.4, status: 503, wait_ms: 412, reason: 'backoff' },
    { n: 2, at: WAITING.created_at, ms: 10_000, error: 'attempt_timeout', reclaimed: true },
  ];
  expect(describeRequest(WAITING, { attempts }, NOW)).toBe(`req_1
  status    waiting: in 4.2 s (breaker_open)
  route     pay/charges
  request   POST /charges, 17 bytes
  labels    eu
  accepted  2025-12-31T23:58:30.000Z, 90 s ago
  deadline  2026-01-02T00:00:00.000Z
  attempts  3 of 50
  planned   in 4.2 s, in 3 min

  ATTEMPT  STARTED    TOOK  RESULT           NEXT
        1  90 s ago  12 ms  503              waited 412 ms (backoff)
        2  90 s ago   10 s  attempt_timeout                           started by a process that crashed
`);
  expect([0, 999, 1_000, 9_949, 9_950, 119_999, 120_000, 7_199_999, 7_200_000, 1e9].map(roughly)).toEqual([
    '0 ms',
    '999 ms',
    '1.0 s',
    '9.9 s',
    '10 s',
    '120 s',
    '2 min',
    '120 min',
    '2 h',
    '12 d',
  ]);
});

describe('control characters are shown as text', () => {
  const odd = '\u001b[2J\u009b31m\u202e\nreq_forged  succeeded';
  const shown = String.raw`\u001b[2J\u009b31m\u202e\u000areq_forged  succeeded`;
  const admin = (url: string) => ['--admin', url];

  test('in tables: a text from outside is one cell of one row', () => {
    const monitor: Monitor = {
      id: 'req_1',
      status: 'failed',
      done: true,
      route: 'api/default',
      labels: [odd],
      key: odd,
      request: { method: 'PUT', path: '/x', bytes: 1 },
      created_at: '2026-01-01T00:00:00Z',
      deadline: '2026-01-02T00:00:00Z',
      attempts: { made: 1 },
      plan: [],
      error: { code: odd, title: odd },
    };
    const attempts = { attempts: [{ n: 1, at: monitor.created_at, ms: 1, error: odd, reason: odd }] };
    for (const [text, times] of [
      [describeList([monitor], 0), 2],
      [describeRequest(monitor, attempts, 0), 6],
      [inShort(monitor, 0), 1],
    ] as const) {
      // oxlint-disable-next-line no-control-regex
      expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]|^\s*req_forged/m);
      expect(text.split(shown)).toHaveLength(times + 1);
    }
  });

  test('in a problem', async () => {
    const origin = await startOrigin(status(409, {}, JSON.stringify({ detail: odd })));
    const ran = await run(['attempts', 'x', ...admin(origin.url)]);
    expect(ran).toEqual({ code: 1, out: '', err: `breakwater: ${shown}\n` });
  });

  test('in JSON, whose values stay equal', async () => {
    const origin = await startOrigin(ok(JSON.stringify({ attempts: [], odd })));
    const { out } = await run(['attempts', 'x', '--json', ...admin(origin.url)]);
    expect(JSON.parse(out)).toEqual({ attempts: [], odd });
    expect(out).not.toMatch(/[\u009b\u202e]/);
  });

  test('but not in the body of a response, which is printed byte for byte', async () => {
    const monitor = { id: 'x', status: 'succeeded', done: true, response: { status: 200, bytes: 9 } };
    const origin = await startOrigin(ok(JSON.stringify(monitor)), ok(odd));
    const { code, out } = await run(['response', 'x', ...admin(origin.url)]);
    expect([code, out]).toEqual([0, odd]);
  });
});
