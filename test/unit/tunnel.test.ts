import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Abort } from '../../src/runtime/abort.ts';
import { Tunnel } from '../../src/server/tunnel.ts';
import { tunnelReply } from '../../src/upstream/tunnel.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('a call that is aborted at the moment of the switch leaves no tunnel', async () => {
  const signal = new Abort();
  signal.abort(new Error('shutting down'));
  const [client, upstream] = [new Socket(), new Socket()];
  await new Promise<void>((onEnd) => {
    new Tunnel(client, upstream, { clock: new FakeClock(), signal, onBroken: () => undefined, onEnd });
  });
  expect([client.destroyed, upstream.destroyed]).toEqual([true, true]);
});

test('a tunnel that is not used is closed', () => {
  const socket = new Socket();
  const reply = tunnelReply('websocket', ['Upgrade', 'WebSocket'], socket);
  expect(reply.tunnel).toBe(socket);
  reply.body.discard();
  expect(socket.destroyed).toBe(true);
});

test('a tunnel that breaks before it is used causes no error', async () => {
  const socket = new Socket();
  tunnelReply('websocket', ['Upgrade', 'websocket'], socket);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.destroy(new Error('reset'));
  await closed;
  expect(socket.errored?.message).toBe('reset');
});
