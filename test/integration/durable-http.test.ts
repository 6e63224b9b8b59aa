import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { durableConfig, startDurable } from '../support/durable.ts';
import { sendRaw } from '../support/durable-raw.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { hang, ok, startOrigin, status } from '../support/origin.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

test.each(['toString', 'constructor', '__proto__', 'hasOwnProperty'])(
  '%s is an unknown method and an unknown path',
  async (name) => {
    const client = await startDurable(
      durableConfig(await startOrigin(ok()), { top: 'clients: { http2: true }' }),
    );
    const session = connectHttp2(client.proxy.url);
    const call = async (method: string, path: string) =>
      (await ask(session, { ':method': method, ':path': `/_breakwater${path}` })).status;
    expect(await call(name, '/openapi.json')).toBe(405);
    expect(await call(name, `/requests/req_${'0'.repeat(32)}`)).toBe(405);
    expect(await call('GET', `/${name}`)).toBe(404);
    expect(await call('GET', `/requests/req_1/${name.toLowerCase()}`)).toBe(404);
  },
);

describe('submission', () => {
  test('gets 202 with Location and Preference-Applied; own fields are not forwarded', async () => {
    const origin = await startOrigin(ok('done'));
    const client = await startDurable(
      durableConfig(origin, {
        process: `callbacks: { allow: ["${origin.url}"], secrets: [${SECRET}], allow_private: true }`,
      }),
    );
    const reply = await client.submit({
      prefer: 'respond-async, return=minimal',
      'breakwater-label': 'invoice, eu',
      'breakwater-key': 'customer-42',
      'breakwater-deadline': '3h',
      'breakwater-callback': `${origin.url}/hooks/pay`,
      'x-mine': 'kept',
    });
    expect(reply.status).toBe(202);
    const headers = Object.fromEntries(reply.headers);
    expect(headers).toMatchObject({
      'preference-applied': 'respond-async',
      vary: 'Prefer',
      'retry-after': expect.stringMatching(/^\d+$/),
      'breakwater-origin': 'proxy',
    });
    const monitor = (await reply.json()) as Record<string, unknown>;
    expect(headers['location']).toBe(`/_breakwater/requests/${String(monitor['id'])}`);
    expect(monitor).toMatchObject({
      status: 'queued',
      done: false,
      route: 'api/default',
      labels: ['invoice', 'eu'],
      key: 'customer-42',
      request: { method: 'PUT', path: '/orders', bytes: 8 },
      callback: { url: `${origin.url}/hooks/pay` },
      attempts: { made: 0, max: 50 },
    });
    await client.done(headers['location'] ?? '');
    const [sent] = origin.requests;
    expect(sent?.headers['x-mine']).toBe('kept');
    expect(sent?.headers['prefer']).toBe('return=minimal');
    expect(Object.keys(sent?.headers ?? {}).filter((name) => name.startsWith('breakwater'))).toEqual([]);
  });

  test('with wait gets the result, if it arrives in time', async () => {
    const origin = await startOrigin(status(503), status(201, { 'x-receipt': '17' }, 'paid'));
    const client = await startDurable(durableConfig(origin));
    const reply = await client.submit({ prefer: 'respond-async, wait=30' });
    expect(reply.status).toBe(201);
    expect(reply.headers.get('preference-applied')).toBe('respond-async, wait=30');
    expect(reply.headers.get('location')).toMatch(/^\/_breakwater\/requests\/req_/);
    expect([reply.headers.get('x-receipt'), await reply.text()]).toEqual(['17', 'paid']);
  });

  test('with wait gets 202, if the result does not arrive in time', async () => {
    const origin = await startOrigin(hang());
    const client = await startDurable(durableConfig(origin));
    const reply = await client.submit({ prefer: 'respond-async, wait=0' });
    expect(reply.status).toBe(202);
  });

  test('without the preference is an ordinary call', async () => {
    const origin = await startOrigin(ok('now'));
    const client = await startDurable(durableConfig(origin));
    const reply = await fetch(`${client.proxy.url}/api/orders`);
    expect([reply.status, await reply.text(), reply.headers.get('location')]).toEqual([200, 'now', null]);
  });

  test('on a route that is not durable is an ordinary call, unless the client insists', async () => {
    const origin = await startOrigin(ok('now'));
    const client = await startDurable(
      durableConfig(origin, { more: '    routes: [{ match: { path: /plain }, durable: off }]' }),
    );
    expect((await client.submit({}, {}, '/api/plain')).status).toBe(200);
    const insisting = await client.submit({ prefer: 'respond-async, handling=strict' }, {}, '/api/plain');
    expect([insisting.status, await insisting.json()]).toEqual([
      400,
      expect.objectContaining({ code: 'bad_request' }),
    ]);
  });

  test.each([
    [400, { 'breakwater-delay': 'soon' }, 'bad_request'],
    [400, { 'breakwater-delay': '500d' }, 'bad_request'],
    [400, { 'breakwater-not-before': '2026-12-01T08:00:00' }, 'bad_request'],
    [400, { 'breakwater-not-before': '2026-02-30T08:00:00Z' }, 'bad_request'],
    [400, { 'breakwater-delay': '1s', 'breakwater-not-before': '2026-12-01T08:00:00Z' }, 'bad_request'],
    [400, { 'breakwater-deadline': '2001-01-01T00:00:00Z' }, 'bad_request'],
    [400, { 'breakwater-delay': '2h', 'breakwater-deadline': '1h' }, 'bad_request'],
    [400, { 'breakwater-key': 'k'.repeat(256) }, 'bad_request'],
    [400, { 'breakwater-label': 'l'.repeat(65) }, 'bad_request'],
    [400, { 'breakwater-callback': 'ftp://app.internal/' }, 'bad_request'],
    [400, { 'breakwater-callback': 'https://user:pass@app.internal/' }, 'bad_request'],
    [403, { 'breakwater-callback': 'https://evil.example/' }, 'callback_forbidden'],
    [403, { 'breakwater-callback': 'https://app.internal.evil.example/' }, 'callback_forbidden'],
  ])('is refused with %i for %o', async (code, headers, name) => {
    const origin = await startOrigin(ok());
    const client = await startDurable(
      durableConfig(origin, {
        process: `callbacks: { allow: [app.internal, '*.apps.internal'], secrets: [${SECRET}] }`,
      }),
    );
    const reply = await client.submit(headers);
    expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([code, name]);
    expect(origin.requests).toEqual([]);
    expect(
      (await client.submit({ 'breakwater-callback': 'https://a.apps.internal/', 'breakwater-delay': '1h' }))
        .status,
    ).toBe(202);
  });

  test('can shorten the deadline of its route, not extend it', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin, { durable: 'deadline: 3h' }));
    const hours = async (deadline: string) => {
      const location = await client.accepted({ 'breakwater-deadline': deadline });
      const { deadline: until, created_at: since } = await client.monitor(location);
      return (Date.parse(String(until)) - Date.parse(String(since))) / 3_600_000;
    };
    expect(await hours('90m')).toBeCloseTo(1.5, 2);
    expect(await hours('300d')).toBeCloseTo(3, 2);
    expect(await hours('2999-01-01T00:00:00Z')).toBeCloseTo(3, 2);
  });

  test('is refused if an own field is sent twice, except labels', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin));
    const submit = (...headers: string[]) =>
      sendRaw(client.proxy.port, '/api/orders', ['prefer', 'respond-async', ...headers]);
    expect((await submit('breakwater-delay', '1s', 'breakwater-delay', '2h')).status).toBe(400);
    const labelled = await submit('breakwater-label', 'a, b', 'breakwater-label', 'c');
    expect(JSON.parse(String(labelled.body))).toMatchObject({ labels: ['a', 'b', 'c'] });
  });

  test('is refused with 413 over max_body, declared or not', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin, { durable: 'max_body: 10B' }));
    expect((await client.submit({}, { body: '12345678901' })).status).toBe(413);
    const stream = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new TextEncoder().encode('12345678901'));
        controller.close();
      },
    });
    expect((await client.submit({}, { body: stream, duplex: 'half' } as RequestInit)).status).toBe(413);
    expect((await client.submit({}, { body: '1234567890' })).status).toBe(202);
  });

  test('is refused with 429 and Retry-After when the backlog is full', async () => {
    const origin = await startOrigin(hang());
    const client = await startDurable(durableConfig(origin, { process: 'backlog: 2' }));
    await client.accepted();
    await client.accepted();
    const reply = await client.submit();
    expect([reply.status, reply.headers.get('retry-after')]).toEqual([429, '30']);
    expect(await reply.json()).toMatchObject({ code: 'backlog_full' });
  });
});

describe('idempotency', () => {
  test('the same key and payload is the same request; another payload is a conflict', async () => {
    const origin = await startOrigin(status(503), ok('once'));
    const client = await startDurable(durableConfig(origin));
    const key = { 'idempotency-key': 'order-7781' };
    const first = await client.accepted(key, { method: 'POST' });
    const again = await client.submit(key, { method: 'POST' });
    expect([again.status, again.headers.get('location'), again.headers.get('idempotent-replayed')]).toEqual([
      202,
      first,
      'true',
    ]);
    const other = await client.submit(key, { method: 'POST', body: 'another order' });
    expect([other.status, await other.json()]).toEqual([
      422,
      expect.objectContaining({ code: 'idempotency_key_reused' }),
    ]);
    expect(
      (await client.submit({ ...key, authorization: 'Bearer other' }, { method: 'POST' })).headers.get(
        'location',
      ),
    ).not.toBe(first);
    expect(await client.done(first)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
  });

  test('every attempt sends the same key upstream, also a generated one', async () => {
    const origin = await startOrigin(status(503), status(503), ok());
    const client = await startDurable(
      durableConfig(origin).replace('idempotency_key: pass', 'idempotency_key: inject'),
    );
    await client.done(await client.accepted({}, { method: 'POST' }));
    const keys = origin.requests.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/.{10}/);
  });
});

describe('monitor and response', () => {
  test('the monitor has an ETag, answers 304, and long-polls until something changes', async () => {
    const origin = await startOrigin(hang(), ok());
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted();
    await origin.untilRequests(1);
    const first = await client.call('GET', location);
    const etag = first.headers.get('etag') ?? '';
    expect(await first.json()).toMatchObject({ status: 'running' });
    expect(first.headers.get('retry-after')).toMatch(/^\d+$/);
    const same = await client.call('GET', location, { 'if-none-match': etag });
    expect([same.status, await same.text(), same.headers.get('etag')]).toEqual([304, '', etag]);

    const changed = client.call('GET', location, { 'if-none-match': etag, prefer: 'wait=60' });
    await client.call('POST', `${location}/cancel`);
    const after = await changed;
    expect([after.status, after.headers.get('preference-applied'), after.headers.get('retry-after')]).toEqual(
      [200, 'wait', null],
    );
    expect(await after.json()).toMatchObject({ status: 'cancelled', done: true });
  });

  test("the response is the upstream's, byte for byte: status, fields, encoding, binary", async () => {
    const bytes = gzipSync(Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919) % 256)));
    const fields = {
      'content-type': 'application/octet-stream',
      'content-encoding': 'gzip',
      'set-cookie': ['a=1', 'b=2'],
      'x-latin': 'caf\u00e9',
      'X-CasE': 'Kept',
      etag: '"v1"',
    };
    const origin = await startOrigin(status(207, fields, bytes));
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted();
    await client.done(location);
    const direct = await sendRaw(origin.port, '/x');
    const stored = await sendRaw(client.proxy.port, `${location}/response`);
    expect(stored.status).toBe(207);
    expect(stored.body.equals(bytes)).toBe(true);
    const own = [
      'via',
      'breakwater-request-id',
      'breakwater-attempts',
      'breakwater-origin',
      'connection',
      'keep-alive',
      'date',
      'transfer-encoding',
      'content-length',
    ];
    const pick = (raw: readonly string[]) =>
      raw.flatMap((name, i) =>
        i % 2 === 0 && !own.includes(name.toLowerCase()) ? [[name, raw[i + 1]]] : [],
      );
    expect(pick(stored.rawHeaders)).toEqual(pick(direct.rawHeaders));
  });

  test('a reply over max_result is truncated and marked as such', async () => {
    const origin = await startOrigin(ok('x'.repeat(300_000)));
    const client = await startDurable(durableConfig(origin, { durable: 'max_result: 1000B' }));
    const location = await client.accepted();
    expect(await client.done(location)).toMatchObject({
      status: 'succeeded',
      response: { status: 200, bytes: 1000, truncated: true },
    });
    const reply = await client.call('GET', `${location}/response`);
    expect([reply.headers.get('breakwater-truncated'), (await reply.text()).length]).toEqual(['true', 1000]);
  });

  test('neither monitor nor list shows the query, which can contain secrets; the upstream gets it', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted({}, {}, '/api/orders?name=hush');
    const monitor = await client.done(location);
    expect(monitor).toMatchObject({ request: { path: '/orders?…' } });
    expect(JSON.stringify(monitor) + (await (await client.admin('GET', '/requests')).text())).not.toContain(
      'hush',
    );
    expect(origin.requests[0]?.url).toBe('/orders?name=hush');
  });

  test('the response of an unfinished request is 202 and the monitor', async () => {
    const origin = await startOrigin(hang());
    const client = await startDurable(durableConfig(origin));
    const reply = await client.call('GET', `${await client.accepted()}/response`);
    expect([reply.status, await reply.json()]).toEqual([202, expect.objectContaining({ done: false })]);
  });

  test('the response of a failure without a reply is a problem of the proxy', async () => {
    const origin = await startOrigin(({ request }) => void request.socket.destroy());
    const client = await startDurable(durableConfig(origin, { durable: 'attempts: 2' }));
    const location = await client.accepted();
    expect(await client.done(location)).toMatchObject({ status: 'failed', error: { code: 'exhausted' } });
    const reply = await client.call('GET', `${location}/response`);
    expect([reply.status, reply.headers.get('content-type')]).toEqual([502, 'application/problem+json']);
    expect(await reply.json()).toMatchObject({ code: 'exhausted', attempts: 2 });
  });

  test('the response of a failure with replies is the last reply', async () => {
    const origin = await startOrigin(status(503, {}, 'first'), status(503, {}, 'second'));
    const client = await startDurable(durableConfig(origin, { durable: 'attempts: 2' }));
    const location = await client.accepted();
    await client.done(location);
    const reply = await client.call('GET', `${location}/response`);
    expect([reply.status, await reply.text()]).toEqual([503, 'second']);
  });

  test('another caller gets 404', async () => {
    const origin = await startOrigin(ok('secret'));
    const client = await startDurable(durableConfig(origin));
    const mine = { authorization: 'Bearer mine' };
    const location = await client.accepted(mine);
    await client.done(location, mine);
    expect((await client.call('GET', `${location}/response`, mine)).status).toBe(200);
    for (const others of [{}, { authorization: 'Bearer other' }, { cookie: 'session=1' }]) {
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/response'],
        ['GET', '/attempts'],
        ['POST', '/cancel'],
        ['POST', '/retry'],
        ['DELETE', ''],
      ] as const) {
        expect(
          (await client.call(method, `${location}${path}`, others as Record<string, string>)).status,
        ).toBe(404);
      }
    }
    expect(origin.requests[0]?.headers['authorization']).toBeUndefined();
    expect((await client.admin('GET', location.replace('/_breakwater', ''))).status).toBe(200);
  });
});

describe('operations on requests', () => {
  test('cancel ends a waiting request at once and aborts a running attempt', async () => {
    const origin = await startOrigin(hang());
    const client = await startDurable(durableConfig(origin));
    const waiting = await client.accepted({ 'breakwater-delay': '1h' });
    expect(await client.monitor(waiting)).toMatchObject({ status: 'queued', next: { reason: 'not_before' } });
    const cancelled = await client.call('POST', `${waiting}/cancel`);
    expect([cancelled.status, await cancelled.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'cancelled' }),
    ]);
    expect((await client.call('POST', `${waiting}/cancel`)).status).toBe(409);
    expect((await client.call('GET', `${waiting}/response`)).status).toBe(409);

    const running = await client.accepted();
    await origin.untilRequests(1);
    expect((await client.call('POST', `${running}/cancel`)).status).toBe(200);
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect(await client.monitor(running)).toMatchObject({
      status: 'cancelled',
      error: { code: 'cancelled' },
    });
  });

  test('retry sends a waiting request now and restarts a failed one; a success needs force', async () => {
    const origin = await startOrigin(ok('1'), status(400), ok('2'), ok('3'));
    const client = await startDurable(durableConfig(origin));
    const delayed = await client.accepted({ 'breakwater-delay': '1h' });
    expect((await client.call('POST', `${delayed}/retry`)).status).toBe(202);
    expect(await client.done(delayed)).toMatchObject({ status: 'succeeded' });

    const failed = await client.accepted();
    expect(await client.done(failed)).toMatchObject({ status: 'failed', error: { code: 'not_retryable' } });
    expect((await client.call('POST', `${failed}/retry`)).status).toBe(202);
    expect(await client.done(failed)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });

    expect((await client.call('POST', `${failed}/retry`)).status).toBe(409);
    expect((await client.call('POST', `${failed}/retry?force=true`)).status).toBe(202);
    await client.done(failed);
    expect(await (await client.call('GET', `${failed}/response`)).text()).toBe('3');
  });

  test('delete cancels and erases: 204, then 410', async () => {
    const origin = await startOrigin(ok('secret'));
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted();
    await client.done(location);
    expect((await client.call('DELETE', location)).status).toBe(204);
    expect((await client.call('GET', `${location}/response`)).status).toBe(410);
    expect(await client.monitor(location)).toMatchObject({ erased: true });
    expect((await client.call('POST', `${location}/retry`)).status).toBe(410);
  });

  test('after its retention monitor and response are 410', async () => {
    const origin = await startOrigin(ok('secret'));
    const clock = new FakeClock();
    const client = await startDurable(durableConfig(origin, { durable: 'retention: 1m' }), { clock });
    const location = await client.accepted();
    await client.done(location);
    let reply = await client.call('GET', location);
    while (reply.status === 200) {
      await clock.advance(60_000);
      reply = await client.call('GET', location);
    }
    expect(reply.status).toBe(410);
    expect((await client.call('GET', `${location}/response`)).status).toBe(410);
  });

  test('attempts are shown, each with status or error, wait, reason and the beginning of the reply', async () => {
    const origin = await startOrigin(
      status(503, { 'retry-after': '0' }, 'too much'),
      ({ request }) => void request.socket.destroy(),
      ok('fine'),
    );
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted();
    await client.done(location);
    const reply = await client.call('GET', `${location}/attempts`);
    expect(await reply.json()).toEqual({
      request: location.slice(location.lastIndexOf('/') + 1),
      attempts: [
        expect.objectContaining({
          n: 1,
          status: 503,
          reason: 'backoff',
          wait_ms: expect.any(Number),
          reply: 'too much',
        }),
        expect.objectContaining({ n: 2, error: 'connection_terminated', reason: 'backoff' }),
        expect.objectContaining({ n: 3, status: 200, reclaimed: false }),
      ],
    });
  });
});

describe('operators', () => {
  test('list, filter, page and bulk changes need the admin listener or the token', async () => {
    const origin = await startOrigin(status(400));
    const client = await startDurable(durableConfig(origin, { top: 'admin_token: hush' }));
    const auth = { authorization: 'Bearer hush' };
    const all = [];
    for (const label of ['a', 'b', 'a']) all.push(await client.accepted({ 'breakwater-label': label }));
    for (const location of all) await client.done(location);

    expect((await client.call('GET', '/_breakwater/requests')).status).toBe(401);
    expect(
      (await client.call('GET', '/_breakwater/requests', { authorization: 'Bearer wrong' })).status,
    ).toBe(401);
    const list = async (query: string) =>
      (await (await client.call('GET', `/_breakwater/requests?${query}`, auth)).json()) as {
        requests: { id: string }[];
        cursor?: string;
      };
    const ids = all.map((location) => location.slice(location.lastIndexOf('/') + 1));
    const page = await list('limit=2');
    expect(page.requests.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    expect((await list(`limit=2&cursor=${page.cursor}`)).requests.map(({ id }) => id)).toEqual([ids[0]]);
    expect((await list('label=a&status=failed,queued&min_attempts=1')).requests.map(({ id }) => id)).toEqual([
      ids[2],
      ids[0],
    ]);
    expect((await list('min_attempts=2')).requests).toEqual([]);
    for (const wrong of ['status=odd', 'limit=0', 'limit=x', 'since=never', 'sort=up'])
      expect((await client.call('GET', `/_breakwater/requests?${wrong}`, auth)).status).toBe(400);

    const bulk = async (path: string) => client.call('POST', `/_breakwater/requests/${path}`, auth);
    expect((await bulk('retry?label=a')).status).toBe(400);
    expect(await (await bulk('retry?label=a&limit=10')).json()).toEqual({ matched: 2, changed: 2 });
    for (const location of [all[0], all[2]])
      expect(await client.done(location!)).toMatchObject({ attempts: { made: 2 } });
    expect(await (await bulk('cancel?limit=10')).json()).toMatchObject({ changed: 0 });
  });

  test('a backup is a complete store, made without stopping the first one', async () => {
    const origin = await startOrigin(status(201, {}, 'done'));
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted();
    await client.done(location);
    expect((await fetch(`${client.proxy.url}/_breakwater/backup`, { method: 'POST' })).status).toBe(401);
    const made = await client.admin('POST', '/backup');
    expect(made.status).toBe(201);
    const { file } = (await made.json()) as { file: string };
    const other = await startDurable(durableConfig(origin, { store: file }));
    expect(await other.monitor(location)).toMatchObject({ status: 'succeeded' });
    expect((await client.submit()).status).toBe(202);
  });

  test('a paused route holds back due requests and shows it; after resume it continues', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin));
    expect((await client.admin('POST', '/routes/api%2Fdefault/pause')).status).toBe(200);
    const location = await client.accepted();
    await client.until(location, ({ next }) => next?.reason === 'paused');
    expect(origin.requests).toEqual([]);
    expect(await (await client.admin('GET', '/routes')).json()).toMatchObject({
      routes: [{ name: 'api/default', paused: true, requests: { queued: 1 } }],
    });
    expect((await client.admin('POST', '/routes/api/default/resume')).status).toBe(200);
    expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
    expect((await client.admin('POST', '/routes/api/none/pause')).status).toBe(404);
  });

  test.each([
    'label=%00',
    'limit=0',
    'limit=501',
    'status=done',
    'cursor=-1',
    'since=yesterday',
    'colour=red',
  ])('an invalid filter is refused: %s', async (query) => {
    const client = await startDurable(durableConfig(await startOrigin()));
    expect((await client.admin('GET', `/requests?${query}`)).status).toBe(400);
  });

  test('web pages cannot act through the admin listener', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin));
    const reply = await fetch(`${client.proxy.adminUrl}/_breakwater/routes/api/default/pause`, {
      method: 'POST',
      headers: { origin: 'https://evil.example' },
    });
    expect(reply.status).toBe(403);
  });

  test('other paths and methods get 404 and 405 with what exists', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted();
    expect((await client.call('GET', '/_breakwater/nothing')).status).toBe(404);
    expect((await client.call('GET', '/_breakwater/requests/req_0')).status).toBe(404);
    const wrong = await client.call('PUT', location);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'GET, DELETE']);
  });
});
