import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Handler } from '../../src/upstream/handler.ts';
import { Http1Client } from '../../src/upstream/http1-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer } from '../support/raw-steps.ts';

/** Fields in which an object by name would lose the case, the order or a repetition. */
const LINES = 'Set-Cookie: a=1\r\nX-A: 1\r\nset-cookie: b=2\r\n__proto__: x\r\n';
const LIST = ['Set-Cookie', 'a=1', 'X-A', '1', 'set-cookie', 'b=2', '__proto__', 'x'];

/** The events of one request that have fields, until its end. */
async function eventsOf(reply: string, upgrade?: string): Promise<unknown[]> {
  const origin = await startRawOrigin(answer(reply));
  const client = new Http1Client(origin.url, {
    connect: ({ port, hostname }, callback) => {
      const socket = connect(Number(port), hostname, () => callback(null, socket));
    },
  });
  onTestFinished(() => client.destroy());
  const events: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    const handler: Handler = {
      onRequestStart() {},
      onRequestUpgrade(_, status, fields, socket) {
        events.push([status, fields]);
        void once(socket.destroy() as Socket, 'close').then(() => resolve());
      },
      onResponseStart: (_, status, fields) => void events.push([status, fields]),
      onResponseData() {},
      onResponseEnd(_, trailers) {
        events.push(['end', trailers]);
        resolve();
      },
      onResponseError: (_, error) => reject(error),
    };
    client.dispatch({ method: 'GET', path: '/', upgrade: upgrade ?? null }, handler);
  });
  return events;
}

test('a handler gets the fields of heads and trailers as lists, as received', async () => {
  const reply = `HTTP/1.1 103 Early\r\n${LINES}\r\nHTTP/1.1 200 OK\r\n${LINES}Transfer-Encoding: chunked\r\n\r\n0\r\n${LINES}\r\n`;
  expect(await eventsOf(reply)).toEqual([
    [103, { list: LIST }],
    [200, { list: [...LIST, 'Transfer-Encoding', 'chunked'] }],
    ['end', { list: LIST }],
  ]);
});

test('a reply without trailers ends with an empty list', async () => {
  expect(await eventsOf('HTTP/1.1 204 None\r\n\r\n')).toEqual([
    [204, { list: [] }],
    ['end', { list: [] }],
  ]);
});

test('a handler gets the fields of an upgrade as a list', async () => {
  const reply = `HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${LINES}\r\n`;
  expect(await eventsOf(reply, 'websocket')).toEqual([
    [101, { list: ['Connection', 'upgrade', 'Upgrade', 'websocket', ...LIST] }],
  ]);
});
