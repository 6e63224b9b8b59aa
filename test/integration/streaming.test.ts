import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy } from '../support/tidy.ts';

const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';
const MIB = 1024 * 1024;

test('a stream’s head arrives before its first event, and each event when it is written', async () => {
  let exchange: OriginExchange | undefined;
  const origin = await startOrigin((current) => {
    exchange = current;
    current.response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  });
  const proxy = await startTidy(apiConfig(origin));
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  expect((await client.untilHead()).startLine).toBe('HTTP/1.1 200 OK');
  exchange?.response.write('data: one\n\n');
  await client.untilText('data: one\n\n');
  exchange?.response.write('data: two\n\n');
  await client.untilText('data: two\n\n');
  exchange?.response.end();
  expect((await client.readReply()).body.toString()).toBe('data: one\n\ndata: two\n\n');
});

describe('a client that does not read', () => {
  /** Writes while the reader accepts bytes; `stuck` resolves when it stops. */
  function pour(bytes: number) {
    const state = { written: 0, stuck: Promise.withResolvers<void>() };
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const step = async ({ response }: OriginExchange) => {
      response.writeHead(200, { 'content-length': bytes });
      const gone = new Promise<boolean>((resolve) => response.once('close', () => resolve(true)));
      while (state.written < bytes && !response.destroyed) {
        state.written += chunk.length;
        if (response.write(chunk)) continue;
        const drained = new Promise<boolean>((resolve) => response.once('drain', () => resolve(true)));
        const stuck = new Promise<boolean>((resolve) => {
          // As long as anything moves on loopback, it moves within a few turns of the loop.
          let turns = 0;
          const turn = () => (++turns > 2_000 ? resolve(false) : setImmediate(turn));
          turn();
        });
        if (!(await Promise.race([drained, stuck, gone]))) {
          state.stuck.resolve();
          await Promise.race([drained, gone]);
        }
      }
      response.end();
    };
    return { state, step };
  }

  test.each([
    ['holds the upstream back, and gets everything once it reads', []],
    [
      'holds back the attempt that took the place of a failed one, too',
      [status(503, {}, 'x'.repeat(40_000))],
    ],
  ])('%s', async (_, before) => {
    const { state, step } = pour(64 * MIB);
    const origin = await startOrigin(...before, step);
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    client.socket.pause();
    await client.send(GET);
    await state.stuck.promise;
    expect(state.written).toBeLessThan(32 * MIB);
    let received = 0;
    client.socket.removeAllListeners('data');
    await new Promise<void>((resolve) => {
      client.socket.on('data', (chunk) => {
        received += chunk.length;
        if (received > 64 * MIB) resolve();
      });
      client.socket.resume();
    });
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe(before.length === 0 ? 'ok' : 'rescued');
  });

  test('is not silence of the upstream: the idle timeout does not run during back-pressure', async () => {
    const { state, step } = pour(64 * MIB);
    const clock = new FakeClock();
    const origin = await startOrigin(step);
    const proxy = await startTidy(apiConfig(origin, '    timeouts: { idle: 10s }\n'), { clock });
    const client = await connectRaw(proxy.port);
    client.socket.pause();
    await client.send(GET);
    await state.stuck.promise;
    await clock.advance(60_000);
    expect(proxy.ended.length).toBe(0);
    client.abort();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone', status: 200 });
    await origin.until(({ openConnections }) => openConnections === 0);
  });
});
