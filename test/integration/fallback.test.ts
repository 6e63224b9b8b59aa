import { describe, expect, test } from 'vitest';
import { NO_WAIT } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { early, hang, type Origin, ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

interface Setting {
  readonly first: readonly Step[];
  readonly second?: readonly Step[];
  /** Of an upstream `spare`; undefined: there is none. */
  readonly third?: readonly Step[];
  /** Lines of the first upstream; `FALLBACK` in them names the second. */
  readonly more?: string;
  readonly other?: string;
  readonly clock?: FakeClock;
}

const LEADS_ON = '    fallback: { upstream: backup }\n';

async function start({
  first,
  second = [ok('from backup')],
  third,
  more = LEADS_ON,
  other = '',
  clock,
}: Setting) {
  const api = await startOrigin(...first);
  const backup = await startOrigin(...second);
  const of = (name: string, { url }: Origin, lines: string) =>
    `  ${name}:\n    url: ${url}/${name}\n    allow_private: true\n${lines}`;
  const spare = third && (await startOrigin(...third));
  const last = spare === undefined ? '' : of('spare', spare, '');
  const yaml = `${NO_WAIT}\nupstreams:\n${of('api', api, more)}${of('backup', backup, other)}${last}`;
  const proxy = await startTidy(yaml, clock === undefined ? {} : { clock });
  const send = (init: RequestInit = {}, path = '/v1/x?q=1') => fetch(`${proxy.url}/api${path}`, init);
  return { api, backup, spare: spare as Origin, proxy, send };
}

const headersOf = (reply: Response) =>
  ['breakwater-origin', 'breakwater-attempts', 'breakwater-gave-up'].map((name) => reply.headers.get(name));

describe('another upstream', () => {
  test('answers calls that have finally failed; reply, metrics, log and attempts show it', async () => {
    const { api, backup, proxy, send } = await start({ first: [status(503, {}, 'down')] });
    const reply = await send();
    expect([reply.status, await reply.text()]).toEqual([200, 'from backup']);
    expect(headersOf(reply)).toEqual(['fallback', '4', 'attempts']);
    expect(reply.headers.get('proxy-status')).toBe(
      'breakwater; details="fallback=backup; attempts=4; gave_up=attempts"',
    );
    expect([api.requests.length, backup.requests[0]?.url]).toEqual([3, '/backup/v1/x?q=1']);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'fallback', status: 200, notes: { gave_up: 'attempts' } });
    expect(record?.entries.map(({ upstream, status: code }) => [upstream, code])).toEqual([
      [undefined, 503],
      [undefined, 503],
      [undefined, 503],
      ['backup', 200],
    ]);
    const { fields, message } = proxy.logs.at(-1)!;
    expect(message).toMatch(/^GET api\/v1\/x\?… 200 answered by backup in .*503 → backup 200$/);
    expect(fields).toMatchObject({ fallback: 'answered', origin: 'fallback' });
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toContain(
      'breakwater_fallbacks_total{upstream="api",route="default",result="answered"} 1',
    );
    expect(metrics).toContain('breakwater_attempts_total{upstream="api",route="default",result="5xx"} 3');
    expect(metrics).toContain('breakwater_attempts_total{upstream="backup",route="default",result="ok"} 1');
  });

  test.each([
    ['a reset', [reset()], ''],
    ['a status that is listed', [status(429)], 'statuses: [429], '],
  ])('answers after %s', async (_, first, options) => {
    const { send } = await start({ first, more: `    fallback: { ${options}upstream: backup }\n` });
    expect(await (await send()).text()).toBe('from backup');
  });

  test.each([400, 401, 404, 409, 422, 429])('does not after %d', async (code) => {
    const { backup, send } = await start({ first: [status(code, {}, 'no')] });
    const reply = await send();
    expect([reply.status, await reply.text(), reply.headers.get('breakwater-origin')]).toEqual([
      code,
      'no',
      'upstream',
    ]);
    expect(backup.connections).toBe(0);
  });

  test('answers while the breaker is open, a POST too: the first was not even asked', async () => {
    const { api, proxy, send } = await start({ first: [ok()] });
    await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"force":"open"}',
    });
    const reply = await send({ method: 'POST', body: 'charge' });
    expect([await reply.text(), headersOf(reply)]).toEqual(['from backup', ['fallback', '1', null]]);
    expect(api.requests.length).toBe(0);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      outcome: 'fallback',
      notes: { rejected: 'breaker_open' },
    });
  });

  test('gets the whole body and the rewritten path, but no credentials and no headers set for the first', async () => {
    const { backup, send } = await start({
      first: [status(500), status(500)],
      more: [
        '    headers: { set: { authorization: Bearer first, x-team: core }, remove: [x-internal] }',
        '    fallback: { upstream: backup, path: "/compat/**", headers: { set: { x-mode: compat }, remove: [x-drop] } }\n',
      ].join('\n'),
      other: '    headers: { set: { authorization: Bearer second } }\n',
    });
    const body = 'x'.repeat(200_000);
    const headers = {
      authorization: 'Bearer client',
      cookie: 'session=1',
      'x-api-key': 'k',
      'api-key': 'k',
      'x-goog-api-key': 'k',
      'x-amz-security-token': 't',
      'x-internal': 'i',
      'x-team': 'mine',
      'x-drop': 'd',
      'content-type': 'text/plain',
      'idempotency-key': 'order-7',
      'x-kept': 'yes',
    };
    const query = '?key=secret&a=1&api%5Fkey=s&access_token=t&sig=s&b=%20';
    expect((await send({ method: 'PUT', headers, body }, `/v1/a%2Fb${query}`)).status).toBe(200);
    const [request] = backup.requests;
    expect(request?.url).toBe('/backup/compat/v1/a%2Fb?a=1&b=%20');
    expect(request?.body.toString()).toBe(body);
    const seen = Object.fromEntries(Object.keys(headers).map((name) => [name, request?.headers[name]]));
    expect(seen).toEqual({
      authorization: 'Bearer second',
      'content-type': 'text/plain',
      'idempotency-key': 'order-7',
      'x-kept': 'yes',
    });
    expect(request?.headers['x-mode']).toBe('compat');
    expect(request?.headers.host).toBe(new URL(backup.url).host);
  });

  test('is not used for calls outside its allow-list: the first upstream’s answer is passed on', async () => {
    const { backup, proxy, send } = await start({
      first: [status(503, {}, 'down')],
      other: '    allow: ["GET /v2/**"]\n',
    });
    const reply = await send();
    expect([reply.status, await reply.text(), reply.headers.get('breakwater-origin')]).toEqual([
      503,
      'down',
      'upstream',
    ]);
    expect(backup.connections).toBe(0);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      outcome: 'upstream_error',
      notes: { fallback: 'failed' },
    });
  });

  test.each([
    ['an error', [reset()], 502],
    ['a failing status', [status(500, {}, 'also down')], 503],
  ])('that fails too with %s leaves the first one’s answer standing', async (_, second, expected) => {
    const first = expected === 503 ? [status(503, { 'x-first': '1' }, 'down')] : [reset()];
    const { proxy, send } = await start({ first, second });
    const reply = await send();
    expect([reply.status, reply.headers.get('breakwater-origin')]).toEqual([
      expected,
      expected === 503 ? 'upstream' : 'proxy',
    ]);
    expect(reply.headers.get('x-first')).toBe(expected === 503 ? '1' : null);
    await reply.text();
    expect((await proxy.untilEnded(1))[0]?.notes.fallback).toBe('failed');
  });

  test('does not get a POST that the first may have processed, with an idempotency key neither', async () => {
    const { api, backup, proxy, send } = await start({
      first: [status(503, {}, 'down')],
      more: `    retry: { idempotency_key: pass }\n${LEADS_ON}`,
    });
    for (const headers of [{}, { 'idempotency-key': 'k' }]) {
      const reply = await send({ method: 'POST', body: 'charge', headers });
      expect([reply.status, await reply.text()]).toEqual([503, 'down']);
    }
    expect([api.requests.length, backup.requests.length]).toEqual([4, 0]);
    const results = (await proxy.untilEnded(2)).map(({ notes }) => notes.fallback);
    expect(results).toEqual(['not_idempotent', 'not_idempotent']);
  });

  test('does if nothing was sent, if the API reports that it did nothing, and if configured', async () => {
    const post = { method: 'POST', body: 'charge' };
    const refused = await start({ first: [ok()] });
    await refused.api.close();
    expect((await refused.send(post)).status).toBe(200);

    const spared = await start({
      first: [status(503)],
      more: `    retry: { not_processed: [503] }\n${LEADS_ON}`,
    });
    expect((await spared.send(post)).status).toBe(200);

    const wished = await start({
      first: [reset()],
      more: '    fallback: { upstream: backup, unsafe: true }\n',
    });
    expect((await wished.send(post)).status).toBe(200);
    expect(wished.backup.requests[0]?.body.toString()).toBe('charge');
  });

  test('gives its failure, marked as its own, if the reply of the first one is too large to buffer', async () => {
    const { proxy, send } = await start({
      first: [status(503, {}, 'x'.repeat(100_000))],
      second: [status(500, {}, 'down there')],
      more: `    retry: off\n${LEADS_ON}`,
    });
    const reply = await send();
    expect([reply.status, await reply.text()]).toEqual([500, 'down there']);
    expect(reply.headers.get('breakwater-origin')).toBe('fallback');
    expect(reply.headers.get('breakwater-fallback')).toBe('backup');
    expect(reply.headers.get('proxy-status')).toContain('fallback=backup');
    const [record] = await proxy.untilEnded(1);
    expect([record?.outcome, record?.notes.fallback]).toEqual(['upstream_error', 'failed']);
  });

  test('cannot get a body that was too large to buffer', async () => {
    const { backup, proxy, send } = await start({
      first: [early(503, {}, 'down')],
      more: `    request: { max_replay: 10KiB }\n${LEADS_ON}`,
    });
    const reply = await send({ method: 'PUT', body: 'x'.repeat(100_000) });
    expect(reply.status).toBe(503);
    expect(backup.connections).toBe(0);
    expect((await proxy.untilEnded(1))[0]?.notes.fallback).toBe('body_not_replayable');
  });

  test('has its share of the time when the first one takes all it gets', async () => {
    const clock = new FakeClock();
    const { api, backup, send } = await start({
      first: [hang()],
      clock,
      more: `    retry: off\n    timeouts: { attempt: 10s, total: 10s }\n${LEADS_ON}`,
    });
    const sent = send();
    await api.untilRequests(1);
    await clock.advance(6_999);
    expect(backup.connections).toBe(0);
    await clock.advance(1);
    expect(await (await sent).text()).toBe('from backup');
    await api.until(({ openConnections }) => openConnections === 0);
  });

  test('ends with the client’s leaving, and its connection with it', async () => {
    const { backup, proxy } = await start({ first: [status(503)], second: [hang()] });
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await backup.untilRequests(1);
    client.abort();
    await backup.until(({ openConnections }) => openConnections === 0);
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('client_gone');
  });

  test('has its own retries, breaker and budget', async () => {
    const { backup, proxy, send } = await start({
      first: [reset()],
      second: [status(503), ok('second try')],
      other: '    retry: { budget: { ratio: 0.5 } }\n',
    });
    expect(await (await send()).text()).toBe('second try');
    expect(backup.requests.length).toBe(2);
    const tokens = (await stateOf(proxy)).upstreams.map(({ scopes }) => scopes[0]?.budget_tokens?.toFixed(1));
    expect(tokens).toEqual(['8.0', '9.5']);
  });
});

describe('several upstreams', () => {
  const IN_TURN =
    '    fallback: { upstream: backup, next: [{ upstream: spare, path: "/v2/**", headers: { set: { x-mode: spare } } }] }\n';

  test('are asked in turn; reply, metrics and log name the one that answered and those that failed', async () => {
    const { backup, spare, proxy, send } = await start({
      first: [status(503, {}, 'down')],
      second: [status(500)],
      third: [ok('from spare')],
      more: IN_TURN,
      other: '    retry: off\n    headers: { set: { authorization: Bearer second } }\n',
    });
    const reply = await send({
      method: 'PUT',
      body: 'x'.repeat(100_000),
      headers: { authorization: 'mine' },
    });
    expect([reply.status, await reply.text()]).toEqual([200, 'from spare']);
    expect(headersOf(reply)).toEqual(['fallback', '5', 'attempts']);
    expect(reply.headers.get('breakwater-fallback')).toBe('spare');
    expect(reply.headers.get('proxy-status')).toContain('fallback=spare');
    const [request] = spare.requests;
    expect([request?.url, request?.headers['x-mode'], request?.headers.authorization]).toEqual([
      '/spare/v2/v1/x?q=1',
      'spare',
      undefined,
    ]);
    expect([backup.requests, spare.requests].map(([one]) => one?.body.length)).toEqual([100_000, 100_000]);
    const [record] = await proxy.untilEnded(1);
    expect(record?.entries.map(({ upstream, status: code }) => [upstream, code]).slice(-2)).toEqual([
      ['backup', 500],
      ['spare', 200],
    ]);
    const { fields, message } = proxy.logs.at(-1)!;
    expect(message).toMatch(/answered by spare in .*503 → backup 500 → spare 200$/);
    expect(fields).toMatchObject({
      fallback: 'answered',
      fallback_to: 'spare',
      fallback_failed: ['backup 500'],
    });
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    for (const sample of [
      'breakwater_fallbacks_total{upstream="api",route="default",result="answered"} 1',
      'breakwater_fallback_answers_total{upstream="api",route="default",fallback="spare"} 1',
      'breakwater_attempts_total{upstream="backup",route="default",result="5xx"} 1',
    ])
      expect(metrics).toContain(sample);
  });

  test('share the reserved time: one that hangs leaves time for the next, and its connection is closed', async () => {
    const clock = new FakeClock();
    const { api, backup, spare, send } = await start({
      first: [hang()],
      second: [hang()],
      third: [ok('from spare')],
      clock,
      more: `    retry: off\n    timeouts: { attempt: 10s, total: 10s }\n${IN_TURN}`,
    });
    const sent = send();
    await api.untilRequests(1);
    await clock.advance(7_000);
    await backup.untilRequests(1);
    expect(spare.connections).toBe(0);
    await clock.advance(1_500);
    expect(await (await sent).text()).toBe('from spare');
    await backup.until(({ openConnections }) => openConnections === 0);
  });

  test('that fail too leave the first one’s answer standing, then the fixed reply', async () => {
    const down = { first: [status(503, {}, 'down')], second: [reset()], third: [status(502, {}, 'also')] };
    const { proxy, send } = await start({ ...down, more: IN_TURN });
    const reply = await send();
    expect([reply.status, await reply.text(), headersOf(reply)[0]]).toEqual([503, 'down', 'upstream']);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({
      outcome: 'upstream_error',
      notes: { fallback: 'failed', fallback_failed: ['backup connection_terminated', 'spare 502'] },
    });
    const more =
      '    fallback: { upstream: backup, next: [{ upstream: spare }], reply: { status: 203, body: sorry } }\n';
    const fixed = await start({ ...down, more });
    const last = await fixed.send({ method: 'POST', body: 'charge' });
    expect([last.status, await last.text(), headersOf(last)[0]]).toEqual([203, 'sorry', 'fallback']);
    // The first one may have processed the POST.
    expect(fixed.backup.connections + fixed.spare.connections).toBe(0);
  });

  test('stop at the first answer, an error of the call too', async () => {
    const { spare, send } = await start({
      first: [status(503)],
      second: [status(422, {}, 'no')],
      third: [ok()],
      more: IN_TURN,
    });
    expect([(await send()).status, spare.connections]).toEqual([422, 0]);
  });

  test('do not get a POST that the one before may have processed', async () => {
    const { api, backup, spare, send } = await start({
      first: [ok()],
      second: [reset()],
      third: [ok()],
      more: IN_TURN,
    });
    await api.close();
    const reply = await send({ method: 'POST', body: 'charge' });
    expect([reply.status, backup.requests.length, spare.connections]).toEqual([502, 1, 0]);
  });
});

test('breakwater-target names no target of an upstream that has failed', async () => {
  const gone = await startOrigin();
  await gone.close();
  const down = await startOrigin(status(503, {}, 'down'));
  const proxy = await startTidy(`${NO_WAIT}
upstreams:
  api: { url: ${down.url}, allow_private: true, targets: [{ name: a }], retry: off, fallback: { upstream: backup } }
  backup: { url: ${down.url}, allow_private: true, targets: [{ name: x }, { name: y }] }
`);
  const reply = await fetch(`${proxy.url}/api/`);
  // Both have failed, so it is the first one's reply.
  expect([reply.status, reply.headers.get('breakwater-target')]).toEqual([503, 'a']);
  const spare = await startOrigin(ok('spare'));
  const other = await startTidy(`${NO_WAIT}
upstreams:
  api: { url: ${down.url}, allow_private: true, targets: [{ name: a }], retry: off, fallback: { upstream: backup } }
  backup: { allow_private: true, targets: [{ name: x, url: ${gone.url} }, { name: y, url: ${spare.url} }] }
`);
  const answer = await fetch(`${other.url}/api/`);
  expect([await answer.text(), answer.headers.get('breakwater-target')]).toEqual(['spare', null]);
  expect((await other.untilEnded(1))[0]?.entries.at(-1)).toMatchObject({ upstream: 'backup', target: 'y' });
});

describe('a reply from the configuration', () => {
  const STATIC =
    '    fallback: { reply: { status: 200, headers: { x-stale: "yes" }, body: \'{"rates":[]}\' } }\n';

  test('answers every method, and is marked', async () => {
    const { proxy, send } = await start({ first: [reset()], more: STATIC });
    for (const method of ['GET', 'POST']) {
      const reply = await send({ method });
      expect([reply.status, await reply.text(), headersOf(reply)[0]]).toEqual([
        200,
        '{"rates":[]}',
        'fallback',
      ]);
      expect(reply.headers.get('content-type')).toBe('application/json');
      expect(reply.headers.get('x-stale')).toBe('yes');
      expect(reply.headers.get('proxy-status')).toContain('fallback=static');
    }
    const head = await send({ method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '12', '']);
    expect((await proxy.untilEnded(3)).map(({ outcome }) => outcome)).toEqual(Array(3).fill('fallback'));
  });

  test('answers when all the time is used up', async () => {
    const clock = new FakeClock();
    const { api, send } = await start({
      first: [hang()],
      more: `    timeouts: { attempt: 5s, total: 5s }\n${STATIC}`,
      clock,
    });
    const sent = send();
    await api.untilRequests(1);
    await clock.advance(5_000);
    expect((await sent).headers.get('breakwater-origin')).toBe('fallback');
    await api.until(({ openConnections }) => openConnections === 0);
  });

  test('does not hide an error of the call, nor a large failing body that is not read', async () => {
    const big = 'x'.repeat(500_000);
    const { api, send } = await start({
      first: [status(404), status(500, {}, big)],
      more: `    retry: off\n${STATIC}`,
    });
    expect((await send()).status).toBe(404);
    expect((await send()).status).toBe(200);
    await api.until(({ openConnections }) => openConnections <= 1);
  });
});

test('a handshake goes to another upstream only if nothing of it was sent', async () => {
  const handshake =
    'GET /api/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
  for (const down of [false, true]) {
    const { api, backup, proxy } = await start({ first: [reset()], second: [status(426, {}, 'no')] });
    if (down) await api.close();
    const client = await connectRaw(proxy.port);
    await client.send(handshake);
    expect((await client.readReply()).status).toBe(down ? 426 : 502);
    expect(backup.requests.length).toBe(down ? 1 : 0);
  }
});

test('a keyed POST whose first attempt may have been processed stays, though the last one was not', async () => {
  const { api, backup, proxy } = await start({
    first: [reset(), status(503, {}, 'did nothing')],
    more: `    retry: { attempts: 2, idempotency_key: pass, not_processed: [503] }\n${LEADS_ON}`,
  });
  const init = { method: 'POST', body: 'charge', headers: { 'idempotency-key': 'k' } };
  const reply = await fetch(`${proxy.url}/api/`, init);
  expect([reply.status, api.requests.length, backup.requests.length]).toEqual([503, 2, 0]);
});
