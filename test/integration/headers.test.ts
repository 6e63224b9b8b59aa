import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { early, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, informational, replyBytes } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';

/** Bytes of a client as the upstream gets them, and bytes of the upstream as the client gets them. */
async function through(request: string, reply = replyBytes(200, [], 'ok'), more = '') {
  const origin = await startRawOrigin(answer(reply));
  const proxy = await startTidy(apiConfig(origin, more));
  const client = await connectRaw(proxy.port);
  await client.send(request);
  const answered = await client.readReply();
  const lines = origin.requests[0]?.bytes.toString('latin1').split('\r\n\r\n')[0]?.split('\r\n') ?? [];
  return { answered, lines, origin, proxy, client };
}

const get = (headers: readonly string[] = [], target = '/api/') =>
  `GET ${target} HTTP/1.1\r\n${['Host: app', ...headers].join('\r\n')}\r\n\r\n`;

describe('to the upstream', () => {
  test('fields keep case, order, repetitions and latin1 bytes; Host is the upstream’s', async () => {
    const { lines, origin } = await through(
      get([
        'X-CamelCase: a',
        'Cookie: a=1',
        'cookie: b=2',
        'X-Latin: \xe9\xff',
        'Via: 1.0 first',
        'Accept-Encoding: gzip',
      ]),
    );
    const [start, ...fields] = lines;
    expect(start).toBe('GET / HTTP/1.1');
    expect(fields.slice(0, -1)).toEqual([
      `host: 127.0.0.1:${origin.port}`,
      'connection: keep-alive',
      'X-CamelCase: a',
      'Cookie: a=1',
      'cookie: b=2',
      'X-Latin: \xe9\xff',
      'Via: 1.0 first',
      'Accept-Encoding: gzip',
    ]);
    expect(fields.at(-1)).toMatch(/^via: 1\.1 breakwater-/);
  });

  test('connection fields and those listed in Connection are removed, but never fields of the proxy', async () => {
    const { lines } = await through(
      get([
        'Connection: keep-alive, X-Gone, authorization, via',
        'X-Gone: 1',
        'Keep-Alive: 5',
        'TE: trailers, gzip',
        'Trailer: x',
        'Proxy-Authorization: Basic eA==',
      ]),
      undefined,
      '    headers: { set: { Authorization: "Bearer ours" }, remove: [x-internal] }\n',
    );
    const names = lines.slice(1).map((line) => line.split(':')[0]?.toLowerCase());
    expect(names).toEqual(['host', 'connection', 'te', 'authorization', 'via']);
    expect(lines).toContain('te: trailers');
    expect(lines).toContain('Authorization: Bearer ours');
  });

  test('an Upgrade that Connection does not list is ignored', async () => {
    const { lines, answered } = await through(get(['Upgrade: websocket']));
    expect(answered.status).toBe(200);
    expect(lines.join('\n').toLowerCase()).not.toContain('upgrade');
  });

  test.each([
    ['/api', '/'],
    ['/api?', '/?'],
    ['/api/a?', '/a?'],
    ['/api/a%2Fb%2fc', '/a%2Fb%2fc'],
    ['/api//a//', '//a//'],
    ['/api/a+b%20c?d+e=%zz', '/a+b%20c?d+e=%zz'],
    ['/api/x/../y', '/x/../y'],
    ['/api/a|b^c`d{e}\'"<>', '/a|b^c`d{e}\'"<>'],
  ])('the target %s arrives as %s', async (from, to) => {
    const { lines } = await through(get([], from));
    expect(lines[0]).toBe(`GET ${to} HTTP/1.1`);
  });

  test('Expect: 100-continue is answered by the proxy, once, and not forwarded', async () => {
    const origin = await startOrigin(status(201));
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send('PUT /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n');
    await client.untilText('100 Continue\r\n\r\n');
    expect(origin.requests.length).toBe(0);
    await client.send('abc');
    const reply = await client.readReply();
    expect(reply.status).toBe(201);
    expect(reply.informational.length).toBe(1);
    expect(origin.requests[0]?.headers.expect).toBeUndefined();
    expect(origin.requests[0]?.body.toString()).toBe('abc');
  });

  test('Expect: 100-continue is answered once for all attempts, and not for HTTP/1.0', async () => {
    const origin = await startOrigin(status(503), status(503), status(200));
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send('PUT /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n');
    await client.untilText('100 Continue\r\n\r\n');
    await client.send('abc');
    const reply = await client.readReply();
    expect([reply.status, reply.informational.length]).toEqual([200, 1]);
    expect(origin.requests.map(({ body, headers }) => [body.toString(), headers.expect])).toEqual([
      ['abc', undefined],
      ['abc', undefined],
      ['abc', undefined],
    ]);
    const old = await connectRaw(proxy.port);
    await old.send('PUT /api/x HTTP/1.0\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\nabc');
    expect((await old.readReply()).informational).toEqual([]);
  });

  test('a Via of this proxy in a request is a loop', async () => {
    const { lines, proxy, client, origin } = await through(get());
    const ours = lines.at(-1)?.slice('via: '.length) ?? '';
    await client.send(get([`Via: 1.0 other, ${ours}`]));
    const reply = await client.readReply();
    expect(reply.status).toBe(502);
    expect(rawHeader(reply, 'proxy-status')).toContain('error=proxy_loop_detected');
    await proxy.untilEnded(2);
    expect(origin.requests.length).toBe(1);
  });
});

describe('to the client', () => {
  test('status text and fields keep case, order, repetitions and latin1 bytes', async () => {
    const raw =
      'HTTP/1.1 299 Quite Fine\r\nX-CamelCase: \xe9\r\nSet-Cookie: b=2\r\nset-cookie: a=1\r\nDate: today\r\nContent-Length: 2\r\n\r\nok';
    const { answered } = await through(get(), Buffer.from(raw, 'latin1'));
    expect(answered.startLine).toBe('HTTP/1.1 299 Quite Fine');
    expect(answered.rawHeaders.slice(0, 12)).toEqual([
      'X-CamelCase',
      '\xe9',
      'Set-Cookie',
      'b=2',
      'set-cookie',
      'a=1',
      'Date',
      'today',
      'Content-Length',
      '2',
      'via',
      '1.1 breakwater',
    ]);
    expect(answered.body.toString()).toBe('ok');
  });

  test.each(['Zur\xfcckgewiesen', '\xc3\xbc', ''])(
    'a reason phrase that means nothing is left out: %j',
    async (text) => {
      const { answered } = await through(
        get(),
        Buffer.from(`HTTP/1.1 200 ${text}\r\ncontent-length: 2\r\n\r\nok`, 'latin1'),
      );
      expect(answered).toMatchObject({ status: 200, startLine: 'HTTP/1.1 200 OK' });
    },
  );

  test('connection fields and those listed in Connection are removed', async () => {
    const reply = replyBytes(
      200,
      [
        'Connection: close, X-Gone',
        'X-Gone: 1',
        'Keep-Alive: timeout=1',
        'Proxy-Connection: x',
        'Trailer: X-Sum',
        'X-Kept: 1',
      ],
      'ok',
    );
    const { answered } = await through(get(), reply);
    const names = answered.rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    expect(names).toContain('x-kept');
    expect(names).not.toContain('x-gone');
    expect(names).not.toContain('proxy-connection');
    expect(names).not.toContain('trailer');
    expect(rawHeader(answered, 'connection')).toBe('keep-alive');
    expect(rawHeader(answered, 'keep-alive')).not.toContain('timeout=1,');
  });

  test('a body with a content coding is unchanged', async () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));
    const { answered } = await through(get(), replyBytes(200, ['content-encoding: gzip'], bytes));
    expect(rawHeader(answered, 'content-encoding')).toBe('gzip');
    expect(answered.body.equals(bytes)).toBe(true);
  });

  test('Proxy-Status of other proxies precedes that of this one', async () => {
    const origin = await startOrigin(early(503, { 'proxy-status': 'inner; error=dns_error' }));
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(get());
    const { rawHeaders } = await client.readReply();
    const values = rawHeaders.filter((_, i) => rawHeaders[i - 1]?.toLowerCase() === 'proxy-status');
    expect(values).toEqual([
      'inner; error=dns_error',
      'breakwater; received-status=503; details="attempts=3; gave_up=attempts"',
    ]);
  });

  test('fields of the proxy can be turned off; the standard ones stay', async () => {
    const origin = await startOrigin(status(503));
    const proxy = await startTidy(`response_headers: false\n${apiConfig(origin)}`);
    const client = await connectRaw(proxy.port);
    await client.send(get());
    const reply = await client.readReply();
    expect(reply.rawHeaders.join(' ')).not.toContain('breakwater-');
    expect(rawHeader(reply, 'proxy-status')).toContain('attempts=3');
  });

  test('interim replies are not taken for the final reply', async () => {
    const origin = await startRawOrigin(informational([102, 103], replyBytes(200, [], 'final')));
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(get());
    expect(await client.readReply()).toMatchObject({ status: 200 });
  });
});

describe('replies without a body', () => {
  test.each([
    ['HEAD', 200, ['content-length: 1234', 'trailer: x']],
    ['HEAD', 200, ['transfer-encoding: chunked', 'trailer: x-sum']],
    ['HEAD', 404, []],
    ['GET', 204, []],
    ['GET', 204, ['content-length: 0']],
    ['GET', 204, ['content-length: 1234']],
    ['GET', 304, ['content-length: 1234', 'etag: "a"']],
    ['POST', 204, []],
  ])('%s %i %j', async (method, code, headers) => {
    const head = Buffer.from(`HTTP/1.1 ${code} Raw\r\n${[...headers, 'x-one: 1'].join('\r\n')}\r\n\r\n`);
    const origin = await startRawOrigin(answer(head));
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    for (const _ of [1, 2]) {
      await client.send(`${method} /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`);
      const reply = await client.readReply();
      expect(reply).toMatchObject({ status: code, body: Buffer.alloc(0) });
      expect(rawHeader(reply, 'x-one')).toBe('1');
      const hasLength = code !== 204 && headers[0]?.startsWith('content-length') === true;
      expect(rawHeader(reply, 'content-length')).toBe(hasLength ? '1234' : undefined);
    }
    await proxy.untilEnded(2);
    expect(client.end).toBeUndefined();
  });

  test('a HEAD that the proxy answers itself has the fields of its GET and no body', async () => {
    const proxy = await startTidy(apiConfig(await startOrigin()));
    const client = await connectRaw(proxy.port);
    await client.send('HEAD /nowhere HTTP/1.1\r\nhost: x\r\n\r\n');
    const head = await client.readReply();
    await client.send('GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n');
    const whole = await client.readReply();
    expect([head.status, whole.status]).toEqual([404, 404]);
    expect(Number(rawHeader(head, 'content-length'))).toBeGreaterThan(100);
  });
});
