import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { startHttp2Origin } from '../support/http2-origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';
import { startSocketOrigin } from '../support/socket-origin.ts';
import { startTidy } from '../support/tidy.ts';

/**
 * Proves that the list of changed fields in docs/messages.md is complete: messages with all features arrive unchanged, except
 * for these fields. A change that adds a field must list it there.
 */

/** Request fields that are removed: of one connection, addressed to the proxy, or answered by it. */
const TAKEN_FROM_REQUEST = [
  'Host: app.local',
  'Connection: keep-alive, X-Listed',
  'X-Listed: 1',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
  'Proxy-Authenticate: Basic',
  'Proxy-Authorization: Basic eA==',
  'TE: trailers, gzip',
  'Trailer: x-sum',
  'Transfer-Encoding: chunked',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'breakwater-attempts: 9',
  'breakwater-timeout: 9s',
  'breakwater-retry-on: 500',
  'breakwater-idempotent: true',
];
const ADDED_TO_REQUEST = ['host: ', 'connection: keep-alive', 'te: trailers', 'via: 1.1 breakwater-'];

const TAKEN_FROM_REPLY = [
  'Connection: X-Listed',
  'X-Listed: 1',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: close',
  'Proxy-Authenticate: Basic',
  'Proxy-Authorization: x',
  'TE: gzip',
  'Trailer: x-sum',
  'Transfer-Encoding: chunked',
  'Upgrade: h2c',
  'breakwater-request-id: 8',
  'breakwater-attempts: 7',
  'breakwater-origin: me',
  'breakwater-gave-up: never',
  'breakwater-dedupe: first',
];
const ADDED_TO_REPLY = [
  'via: 1.1 breakwater',
  'breakwater-request-id: 7',
  'breakwater-attempts: 1',
  'breakwater-origin: upstream',
  'Connection: keep-alive',
  'Keep-Alive: timeout=600',
  'Transfer-Encoding: chunked',
];

/** Fields that never change: names, case, order, repetitions and bytes. */
const UNTOUCHED = [
  'X-CamelCase: Value \t with  spaces',
  'x-twice: 1',
  'X-Twice: 2',
  'X-Empty:',
  'X-Latin: caf\xe9',
  'Authorization: Bearer a.b-c',
  'Cookie: a=1; b="2"',
  'Cookie: c=3',
  'Set-Cookie: a=1; Path=/x; Domain=api.example',
  'User-Agent: app/1',
  'Accept: */*',
  'Accept-Encoding: gzip, br',
  'Content-Type: text/plain; charset=x',
  'Content-Encoding: gzip',
  'Content-Location: /x',
  'Location: https://api.example/x?y=%2F',
  'ETag: W/"1"',
  'If-None-Match: "1"',
  'Range: bytes=0-1',
  'Cache-Control: no-cache',
  'Age: 1',
  'Vary: *',
  'Server: api',
  'Date: yesterday',
  'Retry-After: 1',
  'Proxy-Status: other; error=dns_error',
  'Via: 1.0 first, 1.1 second',
  'Forwarded: for=1.2.3.4',
  'X-Forwarded-For: 1.2.3.4',
  'X-Request-Id: 7',
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'Idempotency-Key: k',
  'Stripe-Signature: t=1,v1=2',
  'HTTP2-Settings: AAMAAABkAAQAAP__',
];

const CHUNKS = '3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 1\r\n\r\n';

const linesOf = (head: string) => head.split('\r\n\r\n')[0]?.split('\r\n') ?? [];
/** In their order, without their values where those differ from run to run. */
const withoutVarying = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/^(host: |via: 1\.1 breakwater-).*/, '$1'));

async function everything(more = '') {
  const reply = ['HTTP/1.1 299 Quite Fine', ...TAKEN_FROM_REPLY, ...UNTOUCHED, '', CHUNKS].join('\r\n');
  const origin = await startRawOrigin(answer(Buffer.from(reply, 'latin1')));
  const proxy = await startTidy(apiConfig(origin, more));
  const client = await connectRaw(proxy.port);
  const target = "/api//a/%2F/../b/.;c?d+e=%zz&f=a|b^'?";
  const request = [`POST ${target} HTTP/1.1`, ...TAKEN_FROM_REQUEST, ...UNTOUCHED, '', CHUNKS];
  await client.send(request.join('\r\n'));
  await client.readReply();
  const [sent] = origin.requests;
  const answered = client.received.toString('latin1').replace('HTTP/1.1 100 Continue\r\n\r\n', '');
  return { sent: sent?.bytes.toString('latin1') ?? '', answered };
}

describe('HTTP/1.1', () => {
  test('a request with all features arrives unchanged, except for the listed changes', async () => {
    const { sent } = await everything();
    const [start, ...fields] = linesOf(sent);
    expect(start).toBe("POST //a/%2F/../b/.;c?d+e=%zz&f=a|b^'? HTTP/1.1");
    const added = ADDED_TO_REQUEST;
    expect(withoutVarying(fields)).toEqual([
      ...added.slice(0, 2),
      ...UNTOUCHED.map((line) => line.replace('X-Empty:', 'X-Empty: ')),
      ...added.slice(2),
      'transfer-encoding: chunked',
    ]);
    // Chunk extensions and trailers of a request stay behind.
    expect(sent.split('\r\n\r\n').slice(1).join('\r\n\r\n')).toBe('3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
  });

  test('a reply with all features arrives unchanged, except for the listed changes', async () => {
    const { answered } = await everything();
    const [start, ...fields] = linesOf(answered);
    expect(start).toBe('HTTP/1.1 299 Quite Fine');
    expect(fields).toEqual([
      ...UNTOUCHED.map((line) => line.replace('X-Empty:', 'X-Empty: ')),
      ...ADDED_TO_REPLY,
    ]);
    expect(answered.split('\r\n\r\n').slice(1).join('\r\n\r\n')).toMatch(/^[\s\S]*0\r\nx-sum: 1\r\n\r\n$/);
  });
});

test('a WebSocket handshake and its 101 change like other messages, and the tunnel does not change', async () => {
  const origin = await startSocketOrigin(({ socket, head }) => {
    socket.write(
      'HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 3\r\nX-A: 1\r\nSec-WebSocket-Accept: x\r\n\r\n',
    );
    socket.write(head);
    socket.on('data', (chunk: Buffer) => socket.write(chunk));
  });
  const proxy = await startTidy(apiConfig(origin));
  const client = await connectRaw(proxy.port);
  const webSocketFields = [
    'Sec-WebSocket-Key: a2V5',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Extensions: x; y',
    'X-Request-Id: 7',
  ];
  const request = [
    'GET /api/ws HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: WebSocket',
    ...webSocketFields,
  ];
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  await client.send(`${request.join('\r\n')}\r\n\r\n`);
  await client.untilText('\r\n\r\n');
  await client.send(bytes);
  await client.untilText(bytes.toString('latin1').slice(0, 100));
  const [start, ...fields] = linesOf(client.received.toString('latin1'));
  fields.push(fields.pop()?.replace(/^(Date: ).*/, '$1') ?? '');
  expect(start).toBe('HTTP/1.1 101 Switching Protocols');
  expect(fields).toEqual([
    'X-A: 1',
    'Sec-WebSocket-Accept: x',
    'via: 1.1 breakwater',
    'breakwater-request-id: 7',
    'breakwater-attempts: 1',
    'breakwater-origin: upstream',
    'connection: upgrade',
    'upgrade: websocket',
    'Date: ',
  ]);
  expect(client.received.subarray(-256).equals(bytes)).toBe(true);
  const raw = origin.handshakes[0]?.rawHeaders ?? [];
  const arrived = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));
  expect(withoutVarying(arrived)).toEqual([
    'host: ',
    'connection: upgrade',
    'upgrade: websocket',
    ...webSocketFields,
    'via: 1.1 breakwater-',
  ]);
  client.abort();
});

test('HTTP/2 on both sides adds only the changes of its format', async () => {
  const origin = await startHttp2Origin(
    [
      ({ stream }) => {
        stream.respond({ ':status': 299, 'x-a': '1', 'set-cookie': ['a=1', 'b=2'], date: 'today' });
        stream.end('ok');
      },
    ],
    { plain: true },
  );
  const proxy = await startTidy(
    `clients: { http2: true }\n${apiConfig(origin, '    connection: { http2: require }\n')}`,
  );
  const session = connectHttp2(proxy.url);
  const fields = { 'x-a': '1', cookie: ['a=1', 'b=2'], te: 'trailers', 'x-request-id': '7' };
  const reply = await ask(session, { ':path': '/api/x', ':authority': 'app.local', ...fields });
  const raw = origin.requests[0]?.rawHeaders ?? [];
  const arrived = raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));
  expect(withoutVarying(arrived)).toEqual([
    ':method: GET',
    ':scheme: http',
    `:authority: localhost:${origin.port}`,
    ':path: /x',
    'x-a: 1',
    'cookie: a=1; b=2',
    'x-request-id: 7',
    'te: trailers',
    'via: 1.1 breakwater-',
  ]);
  expect(reply.fields.join(' ')).toBe(
    [
      'x-a 1 set-cookie a=1 set-cookie b=2 date today',
      'via 1.1 breakwater breakwater-request-id 7 breakwater-attempts 1 breakwater-origin upstream',
    ].join(' '),
  );
  session.close();
});

test('docs/messages.md names each of these fields', () => {
  const page = readFileSync('docs/messages.md', 'utf8');
  const [, rest = ''] = page.split('\n## What the proxy changes in a message\n');
  const [section = ''] = rest.split('\n## ');
  const written = new Set(
    [...section.matchAll(/`([\w-]+)(?::[^`]*)?`/g)].map(([, name]) => name?.toLowerCase()),
  );
  const lists = [TAKEN_FROM_REQUEST, ADDED_TO_REQUEST, TAKEN_FROM_REPLY, ADDED_TO_REPLY].flat();
  const names = new Set(lists.map((line) => line.split(':')[0]?.toLowerCase() ?? ''));
  names.delete('x-listed');
  expect([...names].filter((name) => !written.has(name))).toEqual([]);
});
