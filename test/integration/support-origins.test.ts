import { describe, expect, test } from 'vitest';
import { early, hang, ok, reset, startOrigin, status } from '../support/origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { type RawStep, refusingOrigin, startRawOrigin } from '../support/raw-origin.ts';
import * as steps from '../support/raw-steps.ts';

const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

async function against(...script: readonly RawStep[]) {
  const origin = await startRawOrigin(...script);
  const client = await connectRaw(origin.port);
  return { origin, client };
}

async function sendOf(client: RawClient, bytes = GET) {
  // A connection that is reset at once may refuse the write; how it ended is what the test looks at.
  await client.send(bytes).catch(() => undefined);
  return client.untilClosed();
}

describe('raw origin', () => {
  test('takes one step per request, on one connection, and repeats the last', async () => {
    const { origin, client } = await against(
      steps.answer(steps.replyBytes(503)),
      steps.answer(steps.replyBytes(200, [], 'hi')),
    );
    const statuses: number[] = [];
    for (let i = 0; i < 3; i++) {
      await client.send(GET);
      statuses.push((await client.readReply()).status);
    }
    expect(statuses).toEqual([503, 200, 200]);
    expect(origin).toMatchObject({ connections: 1, stepsTaken: 3, bytesReceived: 3 * GET.length });
    expect(origin.requests).toHaveLength(3);
  });

  test('pipelined requests take a step each', async () => {
    const { client } = await against(
      steps.answer(steps.replyBytes(201)),
      steps.answer(steps.replyBytes(202)),
    );
    await client.send(GET + GET);
    expect([(await client.readReply()).status, (await client.readReply()).status]).toEqual([201, 202]);
  });

  test.each([
    ['resetOnAccept', steps.resetOnAccept(), 'reset', ''],
    ['closeOnReuse by reset', steps.closeOnReuse('reset'), 'reset', ''],
    ['closeOnReuse by fin', steps.closeOnReuse('fin'), 'fin', ''],
    ['resetAfterRequest', steps.resetAfterRequest(), 'reset', ''],
    ['closeAfterRequest', steps.closeAfterRequest(), 'fin', ''],
    ['resetAfterPartialHead', steps.resetAfterPartialHead(), 'reset', 'HTTP/1.1 200 O'],
    ['resetAfterHead', steps.resetAfterHead(), 'reset', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n'],
    [
      'truncate by fin',
      steps.truncate(9, 'abc', 'fin'),
      'fin',
      'HTTP/1.1 200 Raw\r\ncontent-length: 9\r\n\r\nabc',
    ],
    [
      'truncate by reset',
      steps.truncate(9, 'abc', 'reset'),
      'reset',
      'HTTP/1.1 200 Raw\r\ncontent-length: 9\r\n\r\nabc',
    ],
    [
      'truncateChunked',
      steps.truncateChunked('abc', 'fin'),
      'fin',
      'HTTP/1.1 200 Raw\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n',
    ],
    [
      'answerThenHalfClose',
      steps.answerThenHalfClose(),
      'fin',
      'HTTP/1.1 200 Raw\r\ncontent-length: 0\r\n\r\n',
    ],
  ])('%s', async (_name, step, end, received) => {
    const { client } = await against(step);
    expect(await sendOf(client)).toBe(end);
    expect(client.received.toString()).toBe(received);
  });

  test('closeOnAccept ends normally before any byte is sent', async () => {
    const { client } = await against(steps.closeOnAccept());
    expect(await client.untilClosed()).toBe('fin');
  });

  test('a keep-alive connection can be made to die at the moment of its reuse', async () => {
    const { origin, client } = await against(steps.answer(), steps.closeOnReuse('reset'), steps.answer());
    await client.send(GET);
    expect((await client.readReply()).status).toBe(200);
    expect(await sendOf(client)).toBe('reset');
    const second = await connectRaw(origin.port);
    await second.send(GET);
    expect((await second.readReply()).status).toBe(200);
    expect(origin).toMatchObject({ connections: 2, stepsTaken: 3 });
  });

  test('a step for accepting applies to an open connection at its next byte', async () => {
    const { client } = await against(steps.answer(), steps.resetOnAccept());
    await client.send(GET);
    await client.readReply();
    expect(await sendOf(client)).toBe('reset');
  });

  test('hangBeforeHead counts the request and sends nothing', async () => {
    const { origin, client } = await against(steps.hangBeforeHead());
    await client.send(GET);
    await origin.until(({ requests }) => requests.length === 1);
    expect(client.received).toHaveLength(0);
    client.abort();
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('a request that never arrives completely uses its step but is not counted as a request', async () => {
    const { origin, client } = await against(steps.hangBeforeHead());
    await client.send('POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf');
    await origin.until(({ bytesReceived }) => bytesReceived > 40);
    expect(origin).toMatchObject({ stepsTaken: 1, requests: [] });
  });

  test('a reply at the head arrives before the body has been sent', async () => {
    const { origin, client } = await against(steps.answer(steps.replyBytes(413), 'head'));
    await client.send('POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\n');
    expect((await client.readReply()).status).toBe(413);
    expect(origin.requests).toHaveLength(0);
    await client.send('0123456789');
    await origin.until(({ requests }) => requests.length === 1);
    expect(origin.requests[0]?.body.toString()).toBe('0123456789');
  });

  test('drip, stall, informational, garbage and oversized headers', async () => {
    const { client } = await against(
      steps.drip(),
      steps.informational([103, 102], steps.replyBytes(200, [], 'after')),
      steps.oversizedHeaders(100_000),
      steps.stallAfter(steps.replyBytes(200, ['content-length: 10'], 'half')),
      steps.garbage(),
    );
    await client.send(GET);
    expect((await client.readReply()).body.toString()).toBe('dripped');
    await client.send(GET);
    const reply = await client.readReply();
    expect([reply.informational.map((head) => head.startLine.split(' ')[1]), String(reply.body)]).toEqual([
      ['103', '102'],
      'after',
    ]);
    await client.send(GET);
    expect((await client.readReply()).rawHeaders[1]).toHaveLength(100_000);
    const before = client.received.length;
    await client.send(GET);
    expect((await client.untilHead()).rawHeaders).toEqual(['content-length', '10']);
    const soFar = await client.untilBytes(before + 42);
    expect(soFar.toString().endsWith('half')).toBe(true);
    await client.send(GET);
    expect((await client.untilBytes(before + 60)).includes('is not HTTP')).toBe(true);
  });

  test('neverRead fills the client', async () => {
    const { origin, client } = await against(steps.neverRead());
    await origin.until(({ stepsTaken }) => stepsTaken === 1);
    expect(client.socket.write(Buffer.alloc(32 * 1024 * 1024))).toBe(false);
    expect(origin.bytesReceived).toBe(0);
  });

  test('refuses, accepts again on the same port, and keeps open connections', async () => {
    const origin = await refusingOrigin();
    await expect(connectRaw(origin.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await origin.accept();
    const client = await connectRaw(origin.port);
    origin.refuse();
    await expect(connectRaw(origin.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await origin.until(({ openConnections }) => openConnections === 1);
    expect(client.end).toBeUndefined();
    origin.closeConnections('fin');
    expect(await client.untilClosed()).toBe('fin');
  });
});

describe('raw client', () => {
  test('knows that HEAD and 304 have no body', async () => {
    const { client } = await against(
      steps.answer('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'),
      steps.answer('HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n'),
      steps.answer(steps.replyBytes(200, [], 'body')),
    );
    await client.send(GET.replace('GET', 'HEAD'));
    expect((await client.readReply()).status).toBe(200);
    await client.send(GET);
    expect((await client.readReply()).status).toBe(304);
    await client.send(GET);
    expect((await client.readReply()).body.toString()).toBe('body');
  });

  test('rejects a broken reply', async () => {
    const { client } = await against(steps.truncate(9, 'abc', 'fin'));
    await client.send(GET);
    await expect(client.readReply()).rejects.toThrow('no whole reply: the connection ended by fin');
    const cut = await against(steps.truncateChunked('abc', 'fin'));
    await cut.client.send(GET);
    await expect(cut.client.readReply()).rejects.toThrow('no whole reply');
    const untilClose = await against(steps.breakAfter('HTTP/1.1 200 OK\r\n\r\nabc', 'reset'));
    await untilClose.client.send(GET);
    await expect(untilClose.client.readReply()).rejects.toThrow('ended by reset');
  });

  test('goes on reading after its own half-close', async () => {
    const { client } = await against(steps.answer(steps.replyBytes(200, [], 'late')));
    await client.send(GET);
    client.halfClose();
    expect((await client.readReply()).body.toString()).toBe('late');
    expect(await client.untilClosed()).toBe('fin');
  });
});

describe('origin', () => {
  test('takes one step per request and records the received bytes', async () => {
    const origin = await startOrigin(status(503, { 'retry-after': '2' }), ok('hello'));
    const client = await connectRaw(origin.port);
    const body = Buffer.from([0, 255, 13, 10, 128]);
    await client.send(
      'POST /a%2Fb//c?x=+& HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 5\r\n\r\n',
    );
    await origin.untilRequests(1);
    expect(origin.requests[0]).toMatchObject({ complete: false, closed: false });
    await client.send(body);
    const first = await client.readReply();
    expect([first.status, first.rawHeaders.slice(0, 2)]).toEqual([503, ['retry-after', '2']]);
    await client.send(GET);
    expect((await client.readReply()).body.toString()).toBe('hello');
    expect(origin.requests[0]).toMatchObject({
      method: 'POST',
      url: '/a%2Fb//c?x=+&',
      complete: true,
      closed: true,
      connection: 1,
    });
    expect(origin.requests[0]?.rawHeaders.slice(0, 6)).toEqual(['Host', 'x', 'X-Two', '1', 'x-two', '2']);
    expect(origin.requests[0]?.body).toEqual(body);
    expect(origin).toMatchObject({ connections: 1, openConnections: 1 });
  });

  test('reset ends the connection after the request, hang waits for the client to disconnect', async () => {
    const origin = await startOrigin(reset(), hang());
    const first = await connectRaw(origin.port);
    expect(await sendOf(first)).toBe('reset');
    const second = await connectRaw(origin.port);
    await second.send(GET);
    await origin.untilRequests(2);
    second.abort();
    await origin.until(
      ({ requests, openConnections }) => requests[1]?.closed === true && openConnections === 0,
    );
  });

  test('early answers while the body is unread', async () => {
    const origin = await startOrigin(early(401));
    const client = await connectRaw(origin.port);
    await client.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n');
    expect((await client.readReply()).status).toBe(401);
    expect(origin.requests[0]?.body).toHaveLength(0);
  });

  test('a step that throws fails the test that wrote it', async () => {
    const origin = await startOrigin(() => {
      throw new Error('mistake in the step');
    });
    const client = await connectRaw(origin.port);
    await sendOf(client);
    await expect(origin.close()).rejects.toThrow('a step of the origin failed');
  });
});
