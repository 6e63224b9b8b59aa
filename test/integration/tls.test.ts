import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import {
  createServer,
  Agent as HttpsAgent,
  get as httpsGet,
  request as httpsRequest,
  type ServerOptions,
} from 'node:https';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { NO_WAIT, startBreakwater } from '../support/breakwater.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { CA, OTHER_CA, pem } from '../support/tls.ts';

interface SecureOrigin {
  readonly port: number;
  /** Names that clients have asked for (SNI); undefined where they asked for none. */
  readonly names: (string | undefined)[];
  /** Subjects of the certificates that clients have shown. */
  readonly clients: (string | undefined)[];
  requests: number;
}

async function startSecure(options: ServerOptions = pem('server')): Promise<SecureOrigin> {
  const names: (string | undefined)[] = [];
  const clients: (string | undefined)[] = [];
  const server = createServer(options, (request, response) => {
    origin.requests++;
    const socket = request.socket as TLSSocket;
    names.push((socket as TLSSocket & { servername?: string | false }).servername || undefined);
    clients.push(socket.getPeerCertificate()?.subject?.CN as string | undefined);
    response.end('secure');
  });
  const origin: SecureOrigin = { port: await listening(server), names, clients, requests: 0 };
  return origin;
}

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

/** `tls`: flow style, for example `{ ca: … }`. */
const config = (port: number, tls = {}, host = 'localhost') =>
  `${NO_WAIT}    attempts: 1\nupstreams:\n  api:\n    url: https://${host}:${port}\n    allow_private: true\n    tls: ${JSON.stringify(tls)}\n`;

async function ask(yaml: string, method = 'GET') {
  const proxy = await startBreakwater(yaml);
  const reply = await fetch(`${proxy.url}/api/`, { method });
  const body = await reply.text();
  const [record] = await proxy.untilEnded(1);
  return {
    status: reply.status,
    body,
    proxyStatus: reply.headers.get('proxy-status') ?? '',
    logged: JSON.stringify(proxy.logs),
    sent: record?.entries,
    proxy,
  };
}

test('a certificate of a configured private authority is accepted, with the host of the URL as SNI', async () => {
  const origin = await startSecure();
  expect(await ask(config(origin.port, { ca: CA }))).toMatchObject({ status: 200, body: 'secure' });
  expect(origin.names).toEqual(['localhost']);
});

const REFUSED: readonly [string, Parameters<typeof startSecure>[0], object, RegExp][] = [
  ['an unknown authority', pem('server'), {}, /tls_certificate_error.*UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
  [
    'another authority',
    pem('server'),
    { ca: OTHER_CA },
    /tls_certificate_error.*UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
  ],
  ['an expired certificate', pem('expired'), { ca: CA }, /tls_certificate_error.*CERT_HAS_EXPIRED/],
  ['another host', pem('other-host'), { ca: CA }, /tls_certificate_error.*ERR_TLS_CERT_ALTNAME_INVALID/],
  [
    'TLS 1.1 only',
    { ...pem('server'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
    { ca: CA },
    /tls_alert_received.*protocol version/,
  ],
  [
    'TLS 1.2 where 1.3 is demanded',
    { ...pem('server'), maxVersion: 'TLSv1.2' },
    { ca: CA, min_version: 'TLSv1.3' },
    /tls_alert_received.*protocol version/,
  ],
];

test.each(REFUSED)('%s is refused before anything is sent, and named', async (_what, options, tls, named) => {
  const origin = await startSecure(options);
  const { status, proxyStatus, body, logged } = await ask(config(origin.port, tls), 'POST');
  expect(status).toBe(502);
  expect(proxyStatus).toMatch(named);
  expect(`${JSON.parse(body).code} ${body}`).toMatch(named);
  expect(logged).toMatch(named);
  expect(origin.requests).toBe(0);
});

test('no environment variable turns the verification off', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  onTestFinished(() => void vi.unstubAllEnvs());
  const origin = await startSecure();
  expect(await ask(config(origin.port))).toMatchObject({ status: 502 });
  expect(origin.requests).toBe(0);
});

test('a failed handshake is not_sent: even a POST without a key is retried, without cost', async () => {
  const origin = await startSecure(pem('expired'));
  const yaml = config(origin.port, { ca: CA }).replace('attempts: 1', 'attempts: 3');
  const { proxy } = await ask(yaml, 'POST');
  expect(proxy.ended[0]).toMatchObject({ attempts: 3, notes: { gave_up: 'attempts' } });
});

test('servername sets the name that is sent and verified', async () => {
  const origin = await startSecure(pem('other-host'));
  const tls = { ca: CA, servername: 'elsewhere.test' };
  expect(await ask(config(origin.port, tls, '127.0.0.1'))).toMatchObject({ status: 200 });
  expect(origin.names).toEqual(['elsewhere.test']);
});

test('an address is verified as such, without SNI', async () => {
  const origin = await startSecure();
  expect(await ask(config(origin.port, { ca: CA }, '127.0.0.1'))).toMatchObject({ status: 200 });
  expect(origin.names).toEqual([undefined]);
});

const demanding = { ...pem('server'), ca: CA, requestCert: true, rejectUnauthorized: true };

test('an upstream that asks for a client certificate gets it', async () => {
  const origin = await startSecure(demanding);
  expect(await ask(config(origin.port, { ca: CA, ...pem('client') }))).toMatchObject({ status: 200 });
  expect(origin.clients).toEqual(['client']);
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'without a certificate an upstream that asks for one (%s) refuses, and has not seen the request',
  async (version) => {
    const origin = await startSecure({ ...demanding, minVersion: version, maxVersion: version });
    const yaml = config(origin.port, { ca: CA }).replace('attempts: 1', 'attempts: 2');
    const { status, proxyStatus, proxy } = await ask(yaml, 'POST');
    expect(status).toBe(502);
    expect(proxyStatus).toMatch(
      /error=tls_alert_received; details="TLS: .*(certificate required|handshake failure)/,
    );
    expect(proxy.ended[0]?.attempts).toBe(2);
    expect(origin.requests).toBe(0);
  },
);

test('plain HTTP on the port is a protocol error of TLS', async () => {
  const port = await listening(createHttpServer((_request, response) => response.end('plain')));
  const { status, proxyStatus } = await ask(config(port, { ca: CA }), 'POST');
  expect(status).toBe(502);
  expect(proxyStatus).toMatch(
    /error=tls_protocol_error; details="TLS: (wrong version number|packet length too long)/,
  );
});

test('a port that closes during the handshake was not sent any request', async () => {
  const port = await listening(createTcpServer((socket) => socket.once('data', () => socket.destroy())));
  const yaml = config(port, { ca: CA }).replace('attempts: 1', 'attempts: 2');
  const { status, proxy } = await ask(yaml, 'POST');
  expect(status).toBe(502);
  expect(proxy.ended[0]?.attempts).toBe(2);
});

test('after a reload with another authority, connections of the old one are not reused', async () => {
  const origin = await startSecure();
  const { proxy, status } = await ask(config(origin.port, { ca: CA }));
  expect(status).toBe(200);
  proxy.rewrite(config(origin.port, { ca: OTHER_CA }));
  await proxy.app.reload();
  const reply = await fetch(`${proxy.url}/api/`);
  expect(reply.headers.get('proxy-status')).toContain('tls_certificate_error');
});

// --- HTTPS where apps connect ---

const listener = (origin: { url: string }, tls: object) =>
  `tls: ${JSON.stringify(tls)}\nupstreams:\n  api:\n    url: ${origin.url}\n    allow_private: true\n`;

function getSecure(url: string, agent?: HttpsAgent) {
  return new Promise<{ status: number | undefined; body: string; serial: string }>((resolve, reject) => {
    const request = httpsGet(url, { ca: CA, agent, servername: 'localhost' }, (response) => {
      const serial = (response.socket as TLSSocket).getPeerCertificate().subject.CN as string;
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode, body, serial }));
    });
    request.on('error', reject);
  });
}

test('apps connect by HTTPS, while the admin address stays as it is', async () => {
  const origin = await startOrigin(ok('hello'));
  const proxy = await startBreakwater(listener(origin, pem('server')));
  expect(proxy.url).toMatch(/^https:/);
  expect(await getSecure(`${proxy.url}/api/`)).toMatchObject({
    status: 200,
    body: 'hello',
    serial: 'server',
  });
  expect((await fetch(`${proxy.adminUrl}/healthz`)).status).toBe(200);
  expect(JSON.stringify(await (await fetch(`${proxy.adminUrl}/api/config`)).json())).not.toContain('PRIVATE');
});

test('a request body arrives completely through the HTTPS listener', async () => {
  const origin = await startOrigin(ok('thanks'));
  const proxy = await startBreakwater(listener(origin, pem('server')));
  const body = Buffer.alloc(300_000, 'x');
  const request = httpsRequest(`${proxy.url}/api/`, {
    method: 'POST',
    ca: CA,
    servername: 'localhost',
    agent: false,
  });
  request.end(body);
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
  expect(origin.requests[0]?.body.equals(body)).toBe(true);
});

test('a new certificate applies to new connections; open ones continue', async () => {
  const origin = await startOrigin(ok('hello'));
  const proxy = await startBreakwater(listener(origin, pem('server')));
  const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  expect((await getSecure(`${proxy.url}/api/`, agent)).serial).toBe('server');
  proxy.rewrite(listener(origin, pem('renewed')));
  expect(await proxy.app.reload()).toMatchObject({ ok: true });
  expect(await getSecure(`${proxy.url}/api/`, agent)).toMatchObject({ status: 200, serial: 'server' });
  expect(await getSecure(`${proxy.url}/api/`)).toMatchObject({ status: 200, serial: 'renewed' });
});

test('a reload with a key of another certificate is refused, and the old configuration stays', async () => {
  const origin = await startOrigin(ok('hello'));
  const proxy = await startBreakwater(listener(origin, pem('server')));
  proxy.rewrite(listener(origin, { cert: pem('renewed').cert, key: pem('server').key }));
  expect(await proxy.app.reload()).toMatchObject({ ok: false });
  expect(await getSecure(`${proxy.url}/api/`)).toMatchObject({ status: 200, serial: 'server' });
});

test('a reload does not turn tls on', async () => {
  const origin = await startOrigin(ok('hello'));
  const proxy = await startBreakwater(listener(origin, pem('server')).replace(/^tls.*\n/, ''));
  proxy.rewrite(listener(origin, pem('server')));
  await proxy.app.reload();
  expect((await fetch(`${proxy.url}/api/`)).status).toBe(200);
  expect(proxy.logs.map(({ message }) => message).join()).toContain('requires a restart');
});

test('TLS 1.2 is refused if 1.3 is required', async () => {
  const origin = await startOrigin(ok('hello'));
  const proxy = await startBreakwater(listener(origin, { ...pem('server'), min_version: 'TLSv1.3' }));
  const old = connectTls({ port: proxy.port, host: '127.0.0.1', maxVersion: 'TLSv1.2', ca: CA });
  const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toContain('PROTOCOL_VERSION');
  expect(await getSecure(`${proxy.url}/api/`)).toMatchObject({ status: 200 });
});

test('plain HTTP on the HTTPS port is disconnected, and affects no other connection', async () => {
  const origin = await startOrigin(ok('hello'));
  const proxy = await startBreakwater(listener(origin, pem('server')));
  const plain = connectTcp(proxy.port, '127.0.0.1');
  plain.on('error', () => undefined);
  plain.write('GET /api/ HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await once(plain, 'close');
  expect(await getSecure(`${proxy.url}/api/`)).toMatchObject({ status: 200 });
});
