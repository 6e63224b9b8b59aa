import { execFileSync } from 'node:child_process';
import dns from 'node:dns';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { syncBuiltinESMExports } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, closeOnReuse, replyBytes } from '../support/raw-steps.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';
const POST = 'POST /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi';

async function connected(origin: { url: string }, more = '', clock?: FakeClock) {
  const proxy = await startTidy(apiConfig(origin, more), clock === undefined ? {} : { clock });
  const client = await connectRaw(proxy.port);
  const call = async (request: string) => {
    await client.send(request);
    return client.readReply();
  };
  return { proxy, client, call };
}

test('one connection serves call after call', async () => {
  const origin = await startOrigin(ok());
  const { call } = await connected(origin);
  for (let i = 0; i < 5; i++) await call(i % 2 === 0 ? GET : POST);
  expect(origin.requests.map(({ connection }) => connection)).toEqual([1, 1, 1, 1, 1]);
});

describe('a reused connection that the upstream closes at that moment', () => {
  test.each(['fin', 'reset'] as const)('a GET is sent again (%s)', async (how) => {
    const origin = await startRawOrigin(answer(), closeOnReuse(how), answer());
    const { call } = await connected(origin);
    await call(GET);
    const reply = await call(GET);
    expect([reply.status, rawHeader(reply, 'breakwater-attempts')]).toEqual([200, '2']);
  });

  test.each(['fin', 'reset'] as const)('a POST is not, because its outcome is unknown (%s)', async (how) => {
    const origin = await startRawOrigin(answer(), closeOnReuse(how), answer());
    const { call } = await connected(origin);
    await call(GET);
    const reply = await call(POST);
    expect(reply.status).toBe(502);
    expect(rawHeader(reply, 'proxy-status')).toContain('error=connection_terminated');
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('not_idempotent');
    expect(origin.stepsTaken).toBe(2);
  });

  test('one that the upstream has closed before is not used', async () => {
    const origin = await startRawOrigin(answer());
    const { call, proxy } = await connected(origin);
    await call(GET);
    origin.closeConnections('fin');
    await origin.until(({ openConnections }) => openConnections === 0);
    const reply = await call(POST);
    expect([reply.status, rawHeader(reply, 'breakwater-attempts')]).toEqual([200, '1']);
    expect(proxy.ended.length).toBeLessThanOrEqual(2);
  });
});

test('a connection is closed before the upstream’s Keep-Alive time ends', async () => {
  const hinted = (seconds: number) =>
    answer(replyBytes(200, [`keep-alive: timeout=${seconds}`, 'connection: keep-alive'], 'ok'));
  const origin = await startRawOrigin(hinted(60), hinted(1), hinted(60));
  const proxy = await startTidy(apiConfig(origin, '    connection: { keep_alive: 60s }\n'));
  for (let i = 0; i < 3; i++) expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('ok');
  // The second reply allows 1 s of idle time, too little to reuse its connection safely.
  expect(origin.connections).toBe(2);
});

describe('a failed reply releases its connection', () => {
  test.each([
    ['small', 100, 1],
    ['as large as is read to its end', 60_000, 1],
    ['too large to be read', 1_000_000, 2],
  ])('%s', async (_name, bytes, connections) => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503, {}, 'x'.repeat(bytes)), ok());
    const more = '    retry: { backoff: { overloaded_base: 1s, jitter: none } }\n';
    const { proxy, client } = await connected(origin, more, clock);
    await client.send(GET);
    await clock.untilAsleep();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
    // undici uses a connection again one turn of the loop after its last reply.
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1_000);
    expect((await client.readReply()).status).toBe(200);
    expect(origin.connections).toBe(connections);
  });
});

test('a HEAD and a body that ends with its connection need one new connection', async () => {
  const origin = await startRawOrigin(
    answer(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n')),
    answer(replyBytes(200)),
  );
  const { call } = await connected(origin);
  expect((await call('HEAD /api/ HTTP/1.1\r\nhost: x\r\n\r\n')).status).toBe(200);
  expect((await call(GET)).status).toBe(200);
  expect((await call(GET)).status).toBe(200);
  expect(origin.connections).toBe(2);
});

describe('no connection at all', () => {
  test('a name that does not resolve', async () => {
    const { call } = await connected({ url: 'http://name.invalid' });
    const reply = await call(POST);
    expect(rawHeader(reply, 'proxy-status')).toMatch(/error=dns_(?:error|timeout);/);
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('3');
  });

  test.each([
    ['a private address that is not allowed', ['127.0.0.1'], 'destination_ip_prohibited', '1'],
    ['no address', [], 'dns_error', '3'],
  ])('a name that resolves to %s', async (_name, addresses, error, attempts) => {
    const origin = await startOrigin(ok());
    resolving((_name, callback) => callback(addresses));
    const proxy = await startTidy(`upstreams:\n  api:\n    url: http://public.example:${origin.port}\n`);
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    const reply = await client.readReply();
    expect(reply.status).toBe(502);
    expect(rawHeader(reply, 'proxy-status')).toContain(`error=${error};`);
    expect(rawHeader(reply, 'breakwater-attempts')).toBe(attempts);
    expect(origin.connections).toBe(0);
  });

  test('the client disconnects during name resolution: the upstream gets no request', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(ok());
    const asked = Promise.withResolvers<(addresses: readonly string[]) => void>();
    let resolve: (callback: (addresses: readonly string[]) => void) => void = (callback) =>
      asked.resolve(callback);
    resolving((_name, callback) => resolve(callback));
    const { proxy, client } = await connected({ url: `http://slow.example:${origin.port}` }, '', clock);
    await client.send(GET);
    const answerNow = await asked.promise;
    client.abort();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone', attempts: 1 });
    resolve = (callback) => callback(['127.0.0.1']);
    answerNow(['127.0.0.1']);
    await origin.until(({ connections }) => connections === 1);
    const other = await connectRaw(proxy.port);
    await other.send(GET);
    expect((await other.readReply()).status).toBe(200);
    expect(origin.requests.length).toBe(1);
  });

  test('no connection within the attempt timeout: nothing was sent, so the retry costs no budget', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(ok());
    const asked: ((addresses: readonly string[]) => void)[] = [];
    resolving((_name, callback) => void asked.push(callback));
    const more =
      '    timeouts: { attempt: 1s, connect: 60s }\n    retry: { idempotency_key: pass, backoff: { base: 10ms, jitter: none }, budget: { refill: 0/s } }\n';
    const { client, proxy } = await connected({ url: `http://slow.example:${origin.port}` }, more, clock);
    await client.send(POST.replace('host: x', 'host: x\r\nidempotency-key: k'));
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1_000);
    await clock.untilAsleep();
    await clock.advance(10);
    for (const callback of asked) callback(['127.0.0.1']);
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'breakwater-attempts')]).toEqual([200, '2']);
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(10);
    expect(origin.requests.length).toBe(1);
  });

  test('a certificate of an unknown authority', async () => {
    const origin = await selfSigned();
    const { call } = await connected(origin);
    const reply = await call(GET);
    expect(reply.status).toBe(502);
    expect(rawHeader(reply, 'proxy-status')).toContain('error=tls_certificate_error');
    expect(origin.requests()).toBe(0);
  });

  test('a valid certificate: HTTP/1.1, even if the upstream prefers HTTP/2', async () => {
    const origin = await selfSigned();
    const before = tls.getCACertificates('default');
    onTestFinished(() => tls.setDefaultCACertificates(before));
    tls.setDefaultCACertificates([origin.certificate]);
    const { call } = await connected(origin);
    const reply = await call(POST);
    expect(reply).toMatchObject({ status: 200 });
    expect(rawHeader(reply, 'x-version')).toBe('1.1');
    expect(rawHeader(reply, 'content-type')).toBe('text/plain');
  });

  test('TLS to an upstream without TLS', async () => {
    const origin = await startRawOrigin({
      at: 'accept',
      run: (peer) => void peer.write('HTTP/1.1 400 No\r\n\r\n'),
    });
    const { call } = await connected({ url: origin.url.replace('http:', 'https:') });
    expect(rawHeader(await call(GET), 'proxy-status')).toContain('error=tls_protocol_error');
  });
});

/** Answers the system resolver's questions for `….example` until the test has finished. */
function resolving(answerTo: (name: string, callback: (addresses: readonly string[]) => void) => void): void {
  const real = dns.lookup;
  const fake = (name: string, options: { all?: boolean }, callback: (...result: unknown[]) => void): void => {
    if (!name.endsWith('.example')) return (real as typeof fake)(name, options, callback);
    answerTo(name, (addresses) => {
      const found = addresses.map((address) => ({ address, family: 4 }));
      if (options.all === true) callback(null, found);
      else callback(null, found[0]?.address, 4);
    });
  };
  const use = (lookup: unknown) => {
    dns.lookup = lookup as typeof dns.lookup;
    syncBuiltinESMExports();
  };
  use(fake);
  onTestFinished(() => use(real));
}

/** An HTTPS origin whose certificate, made on the spot, is signed by itself. */
async function selfSigned() {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '1'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  let requests = 0;
  const certificate = readFileSync(cert, 'utf8');
  const server = createSecureServer(
    { key: readFileSync(key), cert: certificate, allowHTTP1: true },
    (req, res) => {
      requests++;
      res.writeHead(200, { 'content-type': 'text/plain', 'x-version': req.httpVersion }).end('ok');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: () => requests,
    certificate,
  };
}
