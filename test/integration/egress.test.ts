import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Connected } from '../../src/upstream/connector.ts';
import { throughProxy } from '../../src/upstream/proxy-egress.ts';
import { NO_WAIT } from '../support/breakwater.ts';
import { stubDns } from '../support/dns.ts';
import { startEgressProxy } from '../support/egress.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { reply, startHttp2Origin } from '../support/http2-origin.ts';
import { ok, reset, startOrigin } from '../support/origin.ts';
import { refusingOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { startSocketOrigin } from '../support/socket-origin.ts';
import { startTidy, untilState } from '../support/tidy.ts';
import { CA } from '../support/tls.ts';

const config = (url: string, connection: object, more = '    allow_private: true\n') =>
  `${NO_WAIT}upstreams:\n  api:\n    url: ${url}\n    connection: ${JSON.stringify(connection)}\n    tls: { ca: ${JSON.stringify(CA)} }\n${more}`;

async function start(yaml: string, clock?: FakeClock) {
  const proxy = await startTidy(yaml, clock === undefined ? {} : { clock });
  return { proxy, api: `${proxy.url}/api/` };
}

/** The same port on several loopback addresses. */
async function startTwins(...hosts: readonly string[]) {
  const servers: Server[] = [];
  const seen: string[] = [];
  let port = 0;
  for (const host of hosts) {
    const server = createServer((_request, response) => {
      seen.push(host);
      response.end(host);
    });
    server.listen(port, host);
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    servers.push(server);
  }
  onTestFinished(() => {
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
  });
  return { port, seen, cut: () => servers.forEach((server) => server.closeAllConnections()) };
}

describe('names', () => {
  test('are resolved again for the connection after max_age', async () => {
    const twins = await startTwins('127.0.0.1', '127.0.0.2');
    const dns = stubDns(['127.0.0.1']);
    const clock = new FakeClock();
    const { api } = await start(
      config(`http://moving.example:${twins.port}`, { max_age: '1m', keep_alive: '10m' }),
      clock,
    );
    expect(await (await fetch(api)).text()).toBe('127.0.0.1');
    dns.answer = ['127.0.0.2'];
    await new Promise((resolve) => setImmediate(resolve));
    expect(await (await fetch(api)).text()).toBe('127.0.0.1');
    expect(dns.asked).toHaveLength(1);
    await clock.advance(60_000);
    expect(await (await fetch(api)).text()).toBe('127.0.0.2');
    expect(dns.asked).toHaveLength(2);
  });

  test('a connection that reaches max_age during a reply completes it', async () => {
    const begun = Promise.withResolvers<ServerResponse>();
    const ports: (number | undefined)[] = [];
    const server = createServer((request, response) => {
      if (ports.push(request.socket.remotePort) === 1) begun.resolve(response);
      else response.end('next');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close());
    const clock = new FakeClock();
    const { port } = server.address() as AddressInfo;
    const { proxy, api } = await start(
      config(
        `http://127.0.0.1:${port}`,
        { max_age: '1m', keep_alive: '10m' },
        '    allow_private: true\n    timeouts: { idle: 10m }\n',
      ),
      clock,
    );
    const head = fetch(api);
    const response = await begun.promise;
    response.write('first, ');
    const body = (await head).text();
    await clock.advance(60_000);
    // A call that needs a connection now finds this one too old.
    expect(await (await fetch(api)).text()).toBe('next');
    await untilState(proxy, ({ upstreams }) => upstreams.every(({ connections }) => connections === 2));
    response.end('last');
    expect(await body).toBe('first, last');
    expect(ports[1]).not.toBe(ports[0]);
    await untilState(proxy, ({ upstreams }) => upstreams.every(({ connections }) => connections === 1));
  });

  test('each connection has its own age, however many are opened after it', async () => {
    const ports: (number | undefined)[] = [];
    const held: ServerResponse[] = [];
    const server = createServer((request, response) => {
      ports.push(request.socket.remotePort);
      if (held.push(response) > 2) response.end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close());
    const clock = new FakeClock();
    const { port } = server.address() as AddressInfo;
    const { api } = await start(
      config(
        `http://127.0.0.1:${port}`,
        { max_age: '1m', keep_alive: '10m' },
        '    allow_private: true\n    timeouts: { attempt: 10m, total: 10m }\n',
      ),
      clock,
    );
    const older = fetch(api);
    await vi.waitUntil(() => held.length === 1);
    await clock.advance(50_000);
    const younger = fetch(api);
    await vi.waitUntil(() => held.length === 2);
    for (const response of held) response.end();
    for (const call of [older, younger]) await (await call).text();
    await clock.advance(10_000);
    await (await fetch(api)).text();
    expect(ports[2]).toBe(ports[1]);
    expect(ports[1]).not.toBe(ports[0]);
  });

  test('with several addresses, a refusal is followed by the next address within the attempt', async () => {
    const twins = await startTwins('127.0.0.2');
    // No server listens at this one: at 127.0.0.1 the port may have gone to another server.
    stubDns(['127.0.0.3', '127.0.0.2']);
    const { api } = await start(config(`http://two.example:${twins.port}`, {}));
    const answer = await fetch(api, { method: 'POST' });
    expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['1', '127.0.0.2']);
  });

  test('also if an address of the other family refuses', async () => {
    const twins = await startTwins('127.0.0.2');
    stubDns(['::1', '127.0.0.2']);
    const { api } = await start(config(`http://two.example:${twins.port}`, {}));
    const answer = await fetch(api, { method: 'POST' });
    expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['1', '127.0.0.2']);
  });

  test('after a failure on one address, the retry uses another one', async () => {
    const broken = await startOrigin(reset());
    const healthy = createServer((_request, response) => response.end('healthy'));
    healthy.listen(broken.port, '127.0.0.2');
    await once(healthy, 'listening');
    onTestFinished(() => {
      healthy.close();
      healthy.closeAllConnections();
    });
    stubDns(['127.0.0.1', '127.0.0.2']);
    const { api } = await start(config(`http://two.example:${broken.port}`, {}));
    const answer = await fetch(api);
    expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['2', 'healthy']);
    expect(broken.requests).toHaveLength(1);
  });

  test.each([
    ['ENOTFOUND', 502, 'dns_error'],
    ['EAI_AGAIN', 504, 'dns_timeout'],
  ])('%s was not sent, so even a POST is retried', async (code, status, error) => {
    const dns = stubDns(code);
    const { api } = await start(config('http://nowhere.example', {}));
    const answer = await fetch(api, { method: 'POST' });
    expect([answer.status, answer.headers.get('breakwater-attempts')]).toEqual([status, '3']);
    expect(answer.headers.get('proxy-status')).toContain(`error=${error};`);
    expect(dns.asked).toHaveLength(3);
  });

  test('a resolver that never answers is a DNS timeout after timeouts.connect', async () => {
    const clock = new FakeClock();
    const dns = stubDns(undefined);
    const more = '    allow_private: true\n    retry: off\n    timeouts: { connect: 2s }\n';
    const { api } = await start(config('http://silent.example', {}, more), clock);
    const pending = fetch(api);
    while (dns.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(2_000);
    const answer = await pending;
    expect(answer.status).toBe(504);
    expect(answer.headers.get('proxy-status')).toContain(
      'error=dns_timeout; details="silent.example was not resolved within 2000 ms',
    );
  });

  test.each(['off', 'require'])(
    'that lead inside are refused, and never connected to (http2: %s)',
    async (http2) => {
      const origin = await startOrigin(ok());
      stubDns(['127.0.0.1', '169.254.169.254', '::1']);
      const { api } = await start(config(`http://rebound.example:${origin.port}`, { http2 }, ''));
      const answer = await fetch(api);
      expect([answer.status, answer.headers.get('breakwater-attempts')]).toEqual([502, '1']);
      expect(answer.headers.get('proxy-status')).toContain('error=destination_ip_prohibited;');
      expect(origin.connections).toBe(0);
    },
  );

  test('that change to a private address later are refused at the next connection', async () => {
    const origin = await startOrigin(ok());
    const dns = stubDns(['127.0.0.1']);
    const { api, proxy } = await start(config(`http://rebinding.example:${origin.port}`, {}));
    await (await fetch(api)).text();
    proxy.rewrite(config(`http://rebinding.example:${origin.port}`, {}, ''));
    await proxy.app.reload();
    const answer = await fetch(api);
    expect(answer.headers.get('proxy-status')).toContain('error=destination_ip_prohibited;');
    expect([origin.connections, dns.asked.length]).toEqual([1, 2]);
  });
});

describe('through an egress proxy', () => {
  test('an https upstream is verified end to end, by the name that only the proxy resolves', async () => {
    const origin = await startHttp2Origin([reply('far away')]);
    const egress = await startEgressProxy({ hosts: { 'api.test': '127.0.0.1' } });
    const connection = { proxy: `http://me:s%40cret@${egress.address}`, http2: 'auto' };
    const { api, proxy } = await start(config(`https://api.test:${origin.port}`, connection, ''));
    expect(await (await fetch(api, { method: 'POST', body: 'x' })).text()).toBe('far away');
    const [asked] = egress.asked;
    expect(asked?.url).toBe(`api.test:${origin.port}`);
    expect(asked?.headers).toMatchObject({
      host: `api.test:${origin.port}`,
      'proxy-authorization': `Basic ${btoa('me:s@cret')}`,
    });
    expect(origin.requests[0]?.rawHeaders.join()).not.toContain('proxy-authorization');
    expect(JSON.stringify(proxy.logs)).not.toContain('cret');
  });

  test('an http upstream, whose connection is reused', async () => {
    const origin = await startOrigin(ok('one'), ok('two'));
    const egress = await startEgressProxy();
    // A stopped clock, so that a leaked timer is detected.
    const { api } = await start(config(origin.url, { proxy: `http://${egress.address}` }), new FakeClock());
    expect(await (await fetch(api)).text()).toBe('one');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await (await fetch(api)).text()).toBe('two');
    expect([egress.asked.length, origin.connections]).toEqual([1, 1]);
    expect(origin.requests[0]?.url).toBe('/');
  });

  test('duplicate fields are unchanged', async () => {
    const origin = await startOrigin(ok());
    const egress = await startEgressProxy();
    const { api } = await start(config(origin.url, { proxy: `http://${egress.address}` }));
    await fetch(api, {
      headers: [
        ['x-one', '1'],
        ['cookie', 'a=1; b=2'],
      ],
    });
    expect(origin.requests[0]?.rawHeaders.join()).toContain('x-one,1');
    expect(origin.requests[0]?.headers.cookie).toBe('a=1; b=2');
  });

  test('an upstream that sends first, as in HTTP/2', async () => {
    const origin = await startHttp2Origin([reply('settled')], { plain: true });
    const egress = await startEgressProxy({ eager: true });
    const { api } = await start(config(origin.url, { proxy: `http://${egress.address}`, http2: 'require' }));
    expect(await (await fetch(api)).text()).toBe('settled');
  });

  test('interim replies before the tunnel are ignored', async () => {
    const origin = await startOrigin(ok('through'));
    const interim = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
    const egress = await startEgressProxy({ interim });
    const { api } = await start(config(origin.url, { proxy: `http://${egress.address}` }));
    expect(await (await fetch(api)).text()).toBe('through');
  });

  test('an answer to CONNECT whose head does not end is refused', async () => {
    const origin = await startRawOrigin({
      at: 'head',
      run: (peer) => void peer.write(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(17_000)}`),
    });
    const { api } = await start(
      config('https://api.test', { proxy: origin.url }, '    retry: { attempts: 1 }\n'),
    );
    expect((await fetch(api)).headers.get('proxy-status')).toContain('error=http_protocol_error');
  });

  test('a handshake that ends after the timeout is reported once, and its connection is closed', async () => {
    const clock = new FakeClock();
    const egress = await startEgressProxy({
      refuse: (socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\n'),
    });
    const [hostname = '', port] = egress.address.split(':');
    const begun = Promise.withResolvers<Connected>();
    const proxy = { protocol: 'http:', hostname, port: Number(port), authorization: undefined } as const;
    const connect = throughProxy(proxy, (_target, done) => begun.resolve(done), { timeoutMs: 2_000, clock });
    const errors: unknown[] = [];
    connect({ protocol: 'https:', hostname: 'api.test', port: '' }, (...[error]) => void errors.push(error));
    const done = await begun.promise;
    await clock.advance(2_000);
    expect(errors).toEqual([expect.objectContaining({ code: 'connect_timeout', sent: 'not_sent' })]);
    const late = new Socket();
    done(null, late);
    expect([errors.length, late.destroyed]).toEqual([1, true]);
  });

  test('a WebSocket', async () => {
    const origin = await startSocketOrigin();
    const egress = await startEgressProxy();
    const { proxy } = await start(config(origin.url, { proxy: `http://${egress.address}` }));
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/api/`);
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('hello');
    socket.close();
    await once(socket, 'close');
    expect(egress.asked).toHaveLength(1);
  });

  const refusals: [string, string][] = [
    ['407 Proxy Authentication Required', 'egress_proxy_refused'],
    ['403 Forbidden', 'egress_proxy_refused'],
    ['502 Bad Gateway', 'egress_proxy_refused'],
  ];
  test.each(refusals)('%s to CONNECT was not sent, and is named', async (line, code) => {
    const origin = await startOrigin(ok());
    const egress = await startEgressProxy({
      refuse: (socket) => void socket.end(`HTTP/1.1 ${line}\r\ncontent-length: 5\r\n\r\nsorry`),
    });
    const { api } = await start(config(origin.url, { proxy: `http://u:secret@${egress.address}` }));
    const answer = await fetch(api, { method: 'POST' });
    expect([answer.status, answer.headers.get('breakwater-attempts')]).toEqual([502, '3']);
    expect(answer.headers.get('proxy-status')).toContain('error=destination_unavailable;');
    const problem = await answer.text();
    expect(JSON.parse(problem)).toMatchObject({
      code,
      detail: `egress proxy ${egress.address}: answered ${line} to CONNECT 127.0.0.1:${origin.port}`,
    });
    expect(problem).not.toContain('secret');
    expect(origin.connections).toBe(0);
  });

  test('a proxy that refuses the connection', async () => {
    const gone = await refusingOrigin();
    const { api } = await start(config('https://api.test', { proxy: gone.url }, ''));
    const answer = await fetch(api, { method: 'POST' });
    expect(answer.headers.get('breakwater-attempts')).toBe('3');
    expect(answer.headers.get('proxy-status')).toContain(
      `error=connection_refused; details="egress proxy 127.0.0.1:${gone.port}: connect ECONNREFUSED`,
    );
  });

  test('a proxy that closes, or does not speak HTTP', async () => {
    const origin = await startRawOrigin(
      { at: 'head', run: (peer) => peer.fin() },
      { at: 'head', run: (peer) => void peer.write('SSH-2.0\r\n\r\n') },
    );
    const more = '    retry: { attempts: 1 }\n';
    const { api } = await start(config('https://api.test', { proxy: origin.url }, more));
    expect((await fetch(api)).headers.get('proxy-status')).toContain(
      'error=connection_terminated; details="egress proxy',
    );
    expect((await fetch(api)).headers.get('proxy-status')).toContain(
      'error=http_protocol_error; details="egress proxy',
    );
  });

  test.each(['off', 'auto'])(
    'a proxy that says nothing is a timeout of the connection (http2: %s)',
    async (http2) => {
      const clock = new FakeClock();
      const silent = await startRawOrigin();
      const more = '    retry: off\n    timeouts: { connect: 2s }\n';
      const { api } = await start(config('https://api.test', { proxy: silent.url, http2 }, more), clock);
      const pending = fetch(api);
      await silent.until(({ bytesReceived }) => bytesReceived > 0);
      await clock.advance(2_000);
      const answer = await pending;
      expect(answer.status).toBe(504);
      expect(answer.headers.get('proxy-status')).toContain('error=connection_timeout; details="egress proxy');
      await silent.until(({ openConnections }) => openConnections === 0);
    },
  );

  test('the certificate of the upstream is verified', async () => {
    const origin = await startHttp2Origin([reply()], { allowHTTP1: true });
    const egress = await startEgressProxy({ hosts: { 'elsewhere.test': '127.0.0.1' } });
    const { api } = await start(
      config(`https://elsewhere.test:${origin.port}`, { proxy: `http://${egress.address}` }),
    );
    const answer = await fetch(api, { method: 'POST' });
    expect(answer.headers.get('proxy-status')).toMatch(
      /error=tls_certificate_error;.*ERR_TLS_CERT_ALTNAME_INVALID/,
    );
    expect(answer.headers.get('breakwater-attempts')).toBe('3');
  });

  test('a proxy with TLS is verified with the public authorities, not with those of the upstream', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0'); // it changes nothing
    onTestFinished(() => void vi.unstubAllEnvs());
    const egress = await startEgressProxy({ secure: true });
    const { api } = await start(config('https://api.test', { proxy: `https://${egress.address}` }));
    const answer = await fetch(api);
    expect(answer.headers.get('proxy-status')).toMatch(/tls_certificate_error; details="egress proxy/);
  });
});
