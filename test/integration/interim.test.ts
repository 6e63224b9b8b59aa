import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { connectHttp2 } from '../support/http2-client.ts';
import { startHttp2Origin } from '../support/http2-origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { type RawStep, startRawOrigin } from '../support/raw-origin.ts';
import { answer, breakAfter, replyBytes } from '../support/raw-steps.ts';
import { startTidy } from '../support/tidy.ts';

/** Replies before the reply: 103 Early Hints, and whatever else begins with a 1. */

const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';
const POST = 'POST /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n';
const hint = (link: string, more = '') => `HTTP/1.1 103 Early Hints\r\nLink: <${link}>\r\n${more}\r\n`;
const bytes = (...parts: readonly (string | Buffer)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));

async function start(steps: readonly RawStep[], more = '') {
  const origin = await startRawOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more));
  const client = await connectRaw(proxy.port);
  const links = (informational: readonly { readonly rawHeaders: readonly string[] }[]) =>
    informational.map(({ rawHeaders }) => rawHeaders[1]);
  return { origin, proxy, client, links };
}

describe('are forwarded at once if no other attempt can follow', () => {
  /** A hint, and its reply when the test says so. */
  function held() {
    const { promise, resolve } = Promise.withResolvers<void>();
    const step: RawStep = {
      at: 'request',
      run: async (peer) => {
        await peer.write(hint('/a.css'));
        await promise;
        await peer.write(replyBytes(200, [], 'done'));
      },
    };
    return { step, resolve };
  }

  test.each([
    ['a POST without a key', POST, ''],
    ['the only attempt', GET, '    retry: off\n'],
  ])('%s', async (_, request, more) => {
    const { step, resolve } = held();
    const { client, links } = await start([step], more);
    await client.send(request);
    await client.untilText('</a.css>');
    expect(client.received.toString()).not.toContain('200');
    resolve();
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString(), links(reply.informational)]).toEqual([
      200,
      'done',
      ['</a.css>'],
    ]);
  });

  test('the last attempt, after one whose hints were dropped', async () => {
    const { step, resolve } = held();
    const failed = answer(bytes(hint('/old.css'), replyBytes(503)));
    const { client, links } = await start([failed, step], '    retry: { attempts: 2 }\n');
    await client.send(GET);
    await client.untilText('</a.css>');
    resolve();
    expect(links((await client.readReply()).informational)).toEqual(['</a.css>']);
  });
});

describe('otherwise, they are sent with the head of the final attempt', () => {
  test('in order; those of failed attempts are dropped', async () => {
    const { client, origin, links } = await start(
      [
        answer(bytes(hint('/1'), replyBytes(503))),
        breakAfter(hint('/2'), 'reset'),
        answer(bytes(hint('/3'), hint('/4'), replyBytes(200))),
      ],
      '    retry: { attempts: 4 }\n',
    );
    await client.send(GET);
    const reply = await client.readReply();
    expect([reply.status, links(reply.informational), origin.requests.length]).toEqual([
      200,
      ['</3>', '</4>'],
      3,
    ]);
  });

  test('those of a failed attempt whose reply is used after all are sent', async () => {
    const { client, links } = await start([answer(bytes(hint('/1'), replyBytes(404)))]);
    await client.send(GET);
    const reply = await client.readReply();
    expect([reply.status, links(reply.informational)]).toEqual([404, ['</1>']]);
  });

  test('no more than sixteen are buffered', async () => {
    const many = Array.from({ length: 40 }, (_, i) => hint(`/${i}`));
    const { client } = await start([answer(bytes(...many, replyBytes(200)))]);
    await client.send(GET);
    expect((await client.readReply()).informational.length).toBe(16);
  });
});

describe('content', () => {
  test('end-to-end fields unchanged, without a length, with Via', async () => {
    const fields =
      'X-Cafe: \xe9\r\nConnection: x-drop\r\nx-drop: 1\r\nkeep-alive: 1\r\ncontent-length: 7\r\nbreakwater-origin: me\r\n';
    const { client } = await start([answer(bytes(hint('/a', fields), replyBytes(200)))]);
    await client.send(GET);
    const [head] = (await client.readReply()).informational;
    expect(head?.startLine).toBe('HTTP/1.1 103 Early Hints');
    expect(head?.rawHeaders).toEqual(['Link', '</a>', 'X-Cafe', '\xe9', 'via', '1.1 breakwater']);
  });

  test('102 and others like it too', async () => {
    const { client } = await start([
      answer(bytes('HTTP/1.1 102 X\r\n\r\n', 'HTTP/1.1 199 X\r\n\r\n', replyBytes(200))),
    ]);
    await client.send(GET);
    const heads = (await client.readReply()).informational.map(({ startLine }) => startLine);
    expect(heads).toEqual(['HTTP/1.1 102 Processing', 'HTTP/1.1 199 ']);
  });

  test('an HTTP/1.0 client gets none', async () => {
    const { client } = await start([answer(bytes(hint('/a'), replyBytes(200, [], 'body')))]);
    await client.send('GET /api/ HTTP/1.0\r\nhost: x\r\n\r\n');
    await client.untilClosed();
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 200 (?!.*103 )/s);
  });

  test('a WebSocket handshake gets none', async () => {
    const { client } = await start([answer(bytes(hint('/a'), replyBytes(403)))]);
    await client.send(
      'GET /api/ HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==\r\nsec-websocket-version: 13\r\n\r\n',
    );
    await client.untilClosed();
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('from an upstream of HTTP/2; a 100 from there is not', async () => {
    const origin = await startHttp2Origin(
      [
        ({ stream }) => {
          stream.additionalHeaders({ ':status': 100 });
          stream.additionalHeaders({ ':status': 103, link: '</a>' });
          stream.respond({ ':status': 200 });
          stream.end('ok');
        },
      ],
      { plain: true },
    );
    const proxy = await startTidy(apiConfig(origin, '    connection: { http2: require }\n'));
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    const reply = await client.readReply();
    expect(reply.informational.map(({ rawHeaders }) => rawHeaders)).toEqual([
      ['link', '</a>', 'via', '1.1 breakwater'],
    ]);
  });

  test('to an app of HTTP/2, with repetitions', async () => {
    const more = 'X-Twice: 1\r\nX-Twice: 2\r\n';
    const origin = await startRawOrigin(answer(bytes(hint('/a', more), replyBytes(200, [], 'ok'))));
    const proxy = await startTidy(`clients: { http2: true }\n${apiConfig(origin)}`);
    const stream = connectHttp2(proxy.url).request({ ':path': '/api/' });
    const interims: (readonly string[])[] = [];
    stream.on('headers', (_headers, _flags, raw) => interims.push(raw));
    const [head] = (await once(stream, 'response')) as [{ ':status': number }];
    expect([head[':status'], interims]).toEqual([
      200,
      [[':status', '103', 'link', '</a>', 'x-twice', '1', 'x-twice', '2', 'via', '1.1 breakwater']],
    ]);
    stream.close();
  });

  test('not after the head: later bytes are the next message, which was not requested', async () => {
    const { client } = await start([answer(bytes(replyBytes(200, [], 'ok'), hint('/late')))]);
    await client.send(GET);
    expect((await client.readReply()).body.toString()).toBe('ok');
    await client.send(GET);
    await client.readReply();
    expect(client.received.toString()).not.toContain('/late');
  });
});
