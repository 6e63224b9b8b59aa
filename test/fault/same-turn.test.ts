import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { type Peer, startRawOrigin } from '../support/raw-origin.ts';
import { startTidy } from '../support/tidy.ts';

/*
 * A client leaves, and the upstream answers, in one turn of the event loop. Everything runs in this process, so both are with the
 * kernel before the proxy reads either.
 */

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;

const REPLIES: Readonly<Record<string, string>> = {
  'an empty body': `${OK}content-length: 0\r\n\r\n`,
  'a small body': `${OK}content-length: 2\r\n\r\nok`,
  'a head without its body': `${OK}content-length: 2\r\n\r\n`,
  'a large body': `${OK}content-length: 300000\r\n\r\n${'x'.repeat(300_000)}`,
  'no content': 'HTTP/1.1 204 No Content\r\n\r\n',
  'no chunk': `${CHUNKED}0\r\n\r\n`,
  'chunks and a trailer': `${CHUNKED}2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n`,
  'an interim reply': `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${OK}content-length: 0\r\n\r\n`,
  'a failure': 'HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n',
  'no HTTP': 'garbage\r\n\r\n',
};

const LEAVES: Readonly<Record<string, (client: RawClient) => void>> = {
  'sends FIN': ({ socket }) => void socket.destroy(),
  'resets its connection': (client) => client.abort(),
};

const CASES = Object.keys(REPLIES).flatMap((reply) =>
  Object.keys(LEAVES).flatMap((leave) => [
    [reply, leave, 'before'] as const,
    [reply, leave, 'after'] as const,
  ]),
);

test.each(CASES)('%s, and a client that %s %s it', async (reply, leave, order) => {
  const answering = Promise.withResolvers<Peer>();
  const origin = await startRawOrigin({ at: 'request', run: answering.resolve });
  const proxy = await startTidy(apiConfig(origin, '    retry: off\n'));
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
  const upstream = await answering.promise;
  if (order === 'before') LEAVES[leave]?.(client);
  const written = upstream.write(REPLIES[reply] as string);
  if (order === 'after') LEAVES[leave]?.(client);
  await written;
  await proxy.untilEnded(1);
  expect(proxy.logs.filter(({ level }) => level === 'error')).toEqual([]);
});
