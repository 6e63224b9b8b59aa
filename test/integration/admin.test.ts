import { request } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type {
  AdminDeps,
  Answer as QuestionAnswer,
  BreakerForce,
  Question,
  RefusedReload,
  ReloadResult,
} from '../../src/admin/deps.ts';
import { CallHistory } from '../../src/admin/call-history.ts';
import type { HttpServer } from '../../src/admin/http-server.ts';
import { startAdmin } from '../../src/admin/server.ts';
import { Traffic } from '../../src/telemetry/traffic/traffic.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FakeState, upstream } from '../support/metrics.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { rescuedStory, Story } from '../support/record.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

class FakeDeps implements AdminDeps {
  readiness_: 'starting' | 'ready' | 'leaving' | 'draining' | 'store_failed' = 'ready';
  reloads: ReloadResult[] = [];
  reloaded = 0;
  readonly forced: [string, BreakerForce][] = [];
  readonly logged: string[] = [];
  async *pieces(): AsyncGenerator<string> {
    yield 'breakwater_build_info 1\n';
    yield 'breakwater_tunnels 2\n';
  }
  readonly metrics: AdminDeps['metrics'] = {
    scrape: () => ({ contentType: 'text/plain; version=0.0.4', pieces: this.pieces() }),
  };
  readonly state = new FakeState();
  readonly clock = new FakeClock();
  readonly calls = new CallHistory(this.clock, { slowMs: 1000 });
  readonly traffic = new Traffic(this.clock, () => undefined);
  refusedReload: RefusedReload | undefined;
  readonly logger: AdminDeps['logger'] = {
    warn: (_, message) => void this.logged.push(message),
    error: (_, message) => void this.logged.push(message),
  };

  readiness() {
    return this.readiness_;
  }
  forceBreaker(upstream: string, force: BreakerForce) {
    if (upstream !== 'demo') return false;
    this.forced.push([upstream, force]);
    return true;
  }
  resetQuota(upstream: string) {
    return upstream === 'demo';
  }
  setTarget(upstream: string, target: string) {
    return upstream === 'demo' && target === 'eu';
  }
  async reload(): Promise<ReloadResult> {
    this.reloaded++;
    return this.reloads.shift() ?? { ok: true };
  }
  about() {
    const { refusedReload } = this;
    const startedAt = Date.UTC(2026, 0, 1);
    return { version: '1.2.3', file: 'config.yaml', startedAt, loadedAt: startedAt, refusedReload };
  }
  answer: QuestionAnswer = { ok: true, body: {} };
  readonly asked: Question[] = [];
  async ask(question: Question): Promise<QuestionAnswer> {
    this.asked.push(question);
    return this.answer;
  }
  config(): unknown {
    return { listen: '127.0.0.1:8080' };
  }
}

let deps: FakeDeps;
let admin: HttpServer;
const start = async (token?: string) => startAdmin({ host: '127.0.0.1', port: 0, token, deps });

beforeEach(async () => {
  deps = new FakeDeps();
  admin = await start();
});
afterEach(() => admin.close());

function ask(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(admin.url + path, { method, headers, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text }));
    });
    req.on('error', reject).end(body);
  });
}

const JSON_TYPE = { 'content-type': 'application/json' };
const parsed = ({ body }: Answer) => JSON.parse(body) as Record<string, unknown>;

describe('health', () => {
  test('/healthz is 200 in every state', async () => {
    deps.readiness_ = 'draining';
    expect(await ask('GET', '/healthz')).toMatchObject({ status: 200, body: 'ok\n' });
  });

  test.each([
    ['starting', 503],
    ['ready', 200],
    ['store_failed', 200],
    ['leaving', 503],
    ['draining', 503],
  ] as const)('%s: %i', async (readiness, status) => {
    deps.readiness_ = readiness;
    expect(await ask('GET', '/readyz')).toMatchObject({ status, body: `${readiness}\n` });
  });
});

describe('reading', () => {
  test('/metrics in Prometheus format', async () => {
    const answer = await ask('GET', '/metrics?name=x');
    expect(answer).toMatchObject({ status: 200, body: 'breakwater_build_info 1\nbreakwater_tunnels 2\n' });
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4');
  });

  test('HEAD has the length and no body', async () => {
    const answer = await ask('HEAD', '/healthz');
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect(answer.headers['content-length']).toBe('3');
    expect(await ask('HEAD', '/metrics')).toMatchObject({ status: 200, body: '' });
  });

  test('a scrape goes at the pace of its client, and ends if the client leaves', async () => {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    // Without an end: if it were not paused, nothing else would run.
    deps.pieces = async function* () {
      try {
        for (;;) {
          begun.resolve();
          yield 'x'.repeat(1_000_000);
        }
      } finally {
        ended.resolve();
      }
    };
    const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
    socket.write('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await begun.promise;
    socket.destroy();
    await ended.promise;
    expect(deps.logged).toEqual([]);
  });

  test('a bug in the middle of a scrape cuts the connection, so that the text does not look complete', async () => {
    deps.pieces = async function* () {
      yield 'breakwater_tunnels 2\n';
      throw new Error('out of order');
    };
    await expect(ask('GET', '/metrics')).rejects.toThrow('socket hang up');
    expect(deps.logged).toEqual(['admin response failed: a bug']);
  });

  test('/api/state shows every upstream and scope', async () => {
    const answer = await ask('GET', '/api/state');
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    const scope = {
      scope: 'demo',
      auth: { kind: 'oauth2', expires_ms: 60_000 },
      breaker: { state: 'open', cause: 'failure_rate', retry_after_ms: 1500 },
      budget_tokens: 7.5,
      cache_bytes: 2048,
      dedupe_bytes: 1024,
      concurrency: { limit: 20, in_flight: 3, queued: 2 },
      quota: {
        waiting: 6,
        cooldowns: 1,
        credentials: [
          {
            credential: 'k3JxQ0aZ',
            waiting: 6,
            cooldown: { cause: 'retry_after', retry_after_ms: 1_201 },
            buckets: [{ bucket: 'default', policy: 'day', limit: 100, remaining: 40, reset_ms: 2_500 }],
          },
        ],
      },
    };
    expect(parsed(answer)).toEqual({
      readiness: 'ready',
      version: '1.2.3',
      file: 'config.yaml',
      started_at: '2026-01-01T00:00:00.000Z',
      loaded_at: '2026-01-01T00:00:00.000Z',
      shared: {
        store: 'redis://127.0.0.1:6379',
        used: true,
        replicas: 3,
        round_trips: { ok: 12, late: 1, failed: 0 },
        values: {
          used: true,
          round_trips: { ok: 8, late: 0, failed: 0 },
          reply: { written: 2 },
          token: { read: 1 },
        },
      },
      buffered_body_bytes: 4096,
      upstreams: [
        {
          name: 'demo',
          url: 'http://127.0.0.1:8090',
          mount: '/demo',
          in_flight: 5,
          connections: 4,
          tunnels: 2,
          scopes: [scope],
          targets: [
            {
              name: 'eu',
              url: 'http://127.0.0.1:8090',
              weight: 1,
              tier: 1,
              in_flight: 2,
              state: 'refused',
              status: 401,
              retry_after_ms: 5_000,
              scopes: { host: 'demo@127.0.0.1:8090', credential: 'demo@eu' },
            },
          ],
          tenants: {
            count: 3,
            max: 1_000,
            breaker_not_closed: 1,
            busiest: [{ tenant: 'acme', in_flight: 2, connections: 1, scopes: [scope] }],
          },
        },
      ],
      notable_calls: 0,
    });
  });

  test('/api/state has the problems of a refused reload', async () => {
    deps.refusedReload = { at: Date.UTC(2026, 0, 2), problems: ['config.yaml:3:5 no'] };
    expect(parsed(await ask('GET', '/api/state'))['refused_reload']).toEqual({
      at: '2026-01-02T00:00:00.000Z',
      problems: ['config.yaml:3:5 no'],
    });
  });

  test('/api/state has the last minute of an upstream with traffic', async () => {
    const observer = combine(deps.traffic);
    (await rescuedStory(observer)).end();
    const [upstream] = parsed(await ask('GET', '/api/state'))['upstreams'] as Record<string, unknown>[];
    expect(upstream?.['last_minute']).toEqual({
      calls: 1,
      attempts: 3,
      rejected: 0,
      failed: 0,
      effective_success: 1,
      actual_success: 0.3333,
      p50_ms: expect.any(Number) as number,
      p95_ms: expect.any(Number) as number,
    });
  });

  test('/api/calls has the notable calls in groups, newest first', async () => {
    const observer = combine(deps.calls);
    for (const id of ['1', '2']) (await rescuedStory(observer, { id })).end();
    (await new Story(observer, { id: '3' }).attempt(200)).end();
    const refused = new Story(observer, { id: '4' });
    refused.end({ status: 503, origin: 'proxy', error: 'breaker_open' });
    const groups = async (query: string) =>
      parsed(await ask('GET', `/api/calls${query}`))['groups'] as Record<string, unknown>[];
    expect(await groups('')).toMatchObject([
      { count: 1, latest: { id: '4', outcome: 'rejected', error: 'breaker_open' } },
      {
        count: 2,
        first_at: '2026-01-01T00:00:00.000Z',
        latest: {
          id: '2',
          at: '2026-01-01T00:00:00.000Z',
          outcome: 'rescued',
          message: expect.stringContaining('rescued on attempt 3') as string,
          attempts: [{ n: 1 }, { n: 2 }, { n: 3 }],
        },
      },
    ]);
    expect(await groups('?outcome=rejected&upstream=demo')).toHaveLength(1);
    expect(await groups('?id=1')).toMatchObject([{ count: 1, calls: [{ id: '1' }] }]);
    expect(await groups('?text=RESCUED')).toMatchObject([{ calls: [{ id: '2' }, { id: '1' }] }]);
  });

  test('/api/traffic has the series of the upstreams that are asked for', async () => {
    deps.state.list = [upstream('demo'), upstream('quiet')];
    (await rescuedStory(combine(deps.traffic))).end();
    const series = parsed(await ask('GET', '/api/traffic?span=6h&upstream=demo&upstream=quiet'));
    expect(series).toMatchObject({
      span: '6h',
      left_out: 0,
      upstreams: [{ name: 'demo', step_ms: 180_000 }],
    });
    expect(series['upstreams']).toHaveLength(1);
  });

  test.each(['/api/traffic?span=1d', '/api/traffic?since=1', '/api/calls?nope=1', '/api/calls?id=1&id=2'])(
    '%s: 400',
    async (path) => expect((await ask('GET', path)).status).toBe(400),
  );

  test('/api/config', async () => {
    expect(parsed(await ask('GET', '/api/config'))).toEqual({ listen: '127.0.0.1:8080' });
  });
});

describe('questions about the configuration', () => {
  test('/api/config/values passes on which values are wanted', async () => {
    deps.answer = { ok: true, body: { process: [] } };
    const answer = await ask('GET', '/api/config/values?upstream=demo&route=default');
    expect([answer.status, parsed(answer)]).toEqual([200, { process: [] }]);
    expect(deps.asked).toEqual([{ kind: 'values', parameters: { upstream: 'demo', route: 'default' } }]);
    expect((await ask('GET', '/api/config/values?all=1')).status).toBe(400);
  });

  test('/api/simulate passes on its parameters, and an error with its lines', async () => {
    deps.answer = { ok: false, status: 422, detail: 'the settings have problems', errors: ['a: b'] };
    const answer = await ask('POST', '/api/simulate', JSON_TYPE, '{"upstream":"demo"}');
    expect([answer.status, parsed(answer)]).toMatchObject([422, { errors: ['a: b'] }]);
    expect(deps.asked).toEqual([{ kind: 'simulate', parameters: { upstream: 'demo' } }]);
    expect((await ask('POST', '/api/simulate', {}, '{}')).status).toBe(415);
  });
});

describe('breaker', () => {
  const force = (body: string, path = '/api/upstreams/demo/breaker') => ask('POST', path, JSON_TYPE, body);

  test.each(['open', 'closed', 'auto'] as const)('is set to %s and logged', async (to) => {
    const answer = await force(JSON.stringify({ force: to }));
    expect([answer.status, parsed(answer)]).toEqual([200, { upstream: 'demo', force: to }]);
    expect(deps.forced).toEqual([['demo', to]]);
    expect(deps.logged).toEqual([`breaker of demo set to ${to} by the admin API`]);
  });

  test.each(['{"force":"shut"}', '{}', '', '[]', '"open"', 'null', '{"force":'])(
    'rejects %s',
    async (body) => {
      const answer = await force(body);
      expect(answer.status).toBe(400);
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(deps.forced).toEqual([]);
    },
  );

  test('of an unknown upstream is 404; names are decoded', async () => {
    expect((await force('{"force":"open"}', '/api/upstreams/nope/breaker')).status).toBe(404);
    expect((await force('{"force":"open"}', '/api/upstreams/%64emo/breaker')).status).toBe(200);
    expect((await force('{"force":"open"}', '/api/upstreams/%zz/breaker')).status).toBe(404);
  });
});

describe('reload', () => {
  test('reports success', async () => {
    const answer = await ask('POST', '/api/reload', JSON_TYPE);
    expect([answer.status, deps.reloaded]).toEqual([200, 1]);
  });

  test('reports every error of a refused file', async () => {
    deps.reloads = [{ ok: false, errors: ['config.yaml:3:5 no', 'config.yaml:4:5 no'] }];
    const answer = await ask('POST', '/api/reload', JSON_TYPE, '{}');
    expect(answer.status).toBe(422);
    expect(parsed(answer)['errors']).toEqual(['config.yaml:3:5 no', 'config.yaml:4:5 no']);
  });
});

describe('unknown paths and methods', () => {
  test.each([
    '/api',
    '/dashboard',
    '/dashboard/',
    '/dashboard/../server.ts',
    '/dashboard/%2e%2e/server.ts',
    '/dashboard/types.d.ts',
    '/index.html',
    '/metrics/',
    '/api/upstreams//breaker',
    '/%2e%2e/etc',
    '//',
  ])('%s: 404', async (path) => {
    const answer = await ask('GET', path);
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(parsed(answer)).toMatchObject({ title: 'Not Found', status: 404 });
  });

  test.each([
    ['POST', '/metrics', 'GET, HEAD'],
    ['DELETE', '/healthz', 'GET, HEAD'],
    ['GET', '/api/reload', 'POST'],
    ['OPTIONS', '/api/upstreams/demo/breaker', 'POST'],
  ])('%s %s: 405, allowed: %s', async (method, path, allow) => {
    const answer = await ask(method, path, JSON_TYPE);
    expect([answer.status, answer.headers['allow']]).toEqual([405, allow]);
  });
});

describe('access', () => {
  const withToken = async (token: string) => {
    await admin.close();
    admin = await start(token);
  };

  test('with a token: everything with the token, only health without', async () => {
    await withToken('s3cret');
    expect((await ask('GET', '/healthz')).status).toBe(200);
    expect((await ask('GET', '/readyz')).status).toBe(200);
    for (const path of [
      '/metrics',
      '/api/state',
      '/api/live',
      '/api/calls',
      '/api/config',
      '/nowhere',
      '/healthz/x',
    ]) {
      const answer = await ask('GET', path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="breakwater admin"');
    }
    expect((await ask('POST', '/api/reload', JSON_TYPE)).status).toBe(401);
    expect(deps.reloaded).toBe(0);
    expect((await ask('GET', '/metrics', { authorization: 'Bearer s3cret' })).status).toBe(200);
    expect((await ask('GET', '/metrics', { authorization: 'bearer s3cret' })).status).toBe(200);
  });

  test.each(['Bearer s3cre', 'Bearer s3cret1', 'Bearer ', 'Basic s3cret', 's3cret', 'Bearer S3CRET'])(
    'not with %s',
    async (authorization) => {
      await withToken('s3cret');
      expect((await ask('GET', '/metrics', { authorization })).status).toBe(401);
    },
  );

  test('a wrong and a missing token have different errors', async () => {
    await withToken('s3cret');
    const { headers } = await ask('GET', '/metrics', { authorization: 'Bearer wrong' });
    expect(headers['www-authenticate']).toContain('error="invalid_token"');
  });

  test.each(['localhost:8081', '127.0.0.1', '[::1]:8081', '10.0.0.7:80', 'LOCALHOST'])(
    'without a token: Host %s',
    async (host) => expect((await ask('GET', '/api/state', { host })).status).toBe(200),
  );

  test.each(['evil.example', 'evil.example:8081', 'localhost.evil.example', '127.0.0.1.evil.example'])(
    'without a token: Host %s is refused, because of DNS rebinding',
    async (host) => {
      expect((await ask('GET', '/api/state', { host })).status).toBe(421);
      expect((await ask('GET', '/healthz', { host })).status).toBe(200);
    },
  );

  test('with a token every Host is accepted, such as a name in a cluster', async () => {
    await withToken('s3cret');
    const answer = await ask('GET', '/metrics', { host: 'breakwater:8081', authorization: 'Bearer s3cret' });
    expect(answer.status).toBe(200);
  });

  test.each(['http://127.0.0.1:3000', 'http://evil.example', 'null', 'file://', 'http://127.0.0.1', ''])(
    'a web page of %s can neither read nor change anything',
    async (origin) => {
      expect((await ask('POST', '/api/reload', { ...JSON_TYPE, origin })).status).toBe(403);
      expect((await ask('GET', '/api/state', { origin })).status).toBe(403);
      await withToken('s3cret');
      const authorization = 'Bearer s3cret';
      expect((await ask('POST', '/api/reload', { ...JSON_TYPE, origin, authorization })).status).toBe(403);
      expect(deps.reloaded).toBe(0);
    },
  );

  test.each(['cross-site', 'same-site'])(
    'requests with Sec-Fetch-Site %s are refused, except navigation',
    async (site) => {
      const from = { 'sec-fetch-site': site };
      expect((await ask('GET', '/api/state', { ...from, 'sec-fetch-mode': 'no-cors' })).status).toBe(403);
      expect((await ask('GET', '/api/state', { ...from, 'sec-fetch-mode': 'navigate' })).status).toBe(200);
      const form = { ...from, ...JSON_TYPE, 'sec-fetch-mode': 'navigate', origin: 'null' };
      expect((await ask('POST', '/api/reload', form)).status).toBe(403);
    },
  );

  test('the own page is accepted', async () => {
    const own = { ...JSON_TYPE, origin: admin.url, 'sec-fetch-site': 'same-origin' };
    expect((await ask('POST', '/api/reload', own)).status).toBe(200);
    const host = new URL(admin.url).host.replace('127.0.0.1', 'LocalHost');
    const named = { ...own, host, origin: `http://${host.toLowerCase()}` };
    expect((await ask('POST', '/api/reload', named)).status).toBe(200);
    expect(deps.reloaded).toBe(2);
  });

  test('changes must be JSON, which a form cannot send', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/jsonx',
      'text/x;application/json',
    ]) {
      const { status } = await ask('POST', '/api/reload', { 'content-type': type }, '{}');
      expect([type, status]).toEqual([type, 415]);
    }
    expect((await ask('POST', '/api/reload')).status).toBe(415);
    expect((await ask('POST', '/api/upstreams/demo/breaker', {}, '{"force":"open"}')).status).toBe(415);
    expect([deps.reloaded, deps.forced]).toEqual([0, []]);
    const typed = { 'content-type': 'application/json; charset=utf-8' };
    expect((await ask('POST', '/api/reload', typed, '{}')).status).toBe(200);
  });
});

describe('robustness', () => {
  test('at most 64 KiB of a body are read', async () => {
    const padded = (bytes: number) => `{"force":"open"${' '.repeat(bytes - 16)}}`;
    expect((await ask('POST', '/api/upstreams/demo/breaker', JSON_TYPE, padded(65_536))).status).toBe(200);
    const tooLarge = await ask('POST', '/api/upstreams/demo/breaker', JSON_TYPE, padded(65_537));
    expect([tooLarge.status, deps.forced.length]).toEqual([413, 1]);
  });

  test.each([
    ['before the body has come', 'POST /nowhere', '', 404],
    ['in the middle of the body', 'POST /api/reload', ' '.repeat(70_000), 413],
  ])('a refusal %s arrives and closes the connection', async (_, line, body, status) => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      socket.on('end', () => resolve(text)).on('error', reject);
      const head = 'host: localhost\r\ncontent-type: application/json\r\ncontent-length: 100000';
      socket.write(`${line} HTTP/1.1\r\n${head}\r\n\r\n${body}`);
    });
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  test('a bug is a 500 without details, and a log line', async () => {
    deps.config = () => {
      throw new Error('the password is hunter2');
    };
    const answer = await ask('GET', '/api/config');
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain('hunter2');
    expect(deps.logged).toEqual(['admin request failed: a bug']);
    expect((await ask('GET', '/healthz')).status).toBe(200);
  });

  test('a port in use is an error, not a crash', async () => {
    const port = Number(new URL(admin.url).port);
    await expect(startAdmin({ host: '127.0.0.1', port, token: undefined, deps })).rejects.toThrow(
      'EADDRINUSE',
    );
  });

  test('close ends idle keep-alive connections', async () => {
    const socket = connect(Number(new URL(admin.url).port), '127.0.0.1');
    const closed = new Promise((resolve) => socket.on('close', () => resolve(true)));
    await new Promise((resolve) => socket.on('connect', resolve));
    await admin.close();
    expect(await closed).toBe(true);
  });
});
