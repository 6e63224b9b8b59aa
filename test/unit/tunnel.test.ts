import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Tunnel } from '../../src/proxy/tunnel.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('a call that was cut in the moment of the switch leaves no tunnel', async () => {
  const signal = new Abort();
  signal.abort(new Error('shutting down'));
  const [client, upstream] = [new Socket(), new Socket()];
  await new Promise<void>((onEnd) => {
    new Tunnel(client, upstream, { clock: new FakeClock(), signal, onBroken: () => undefined, onEnd });
  });
  expect([client.destroyed, upstream.destroyed]).toEqual([true, true]);
});
