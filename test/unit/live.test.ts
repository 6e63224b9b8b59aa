import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import type { AdminDeps } from '../../src/admin/deps.ts';
import { Live } from '../../src/admin/live.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** The response to a page that reads only while `reads` is true. */
class Page extends EventEmitter {
  reads = true;
  messages = 0;
  closed = false;

  get writableNeedDrain(): boolean {
    return !this.reads;
  }
  writeHead(): void {}
  write(): void {
    this.messages++;
  }
  destroy(): void {
    this.closed = true;
    this.emit('close');
  }
}

function opened() {
  const clock = new FakeClock();
  const about = { version: '1', file: 'config.yaml', startedAt: 0, loadedAt: 0, refusedReload: undefined };
  const parts = {
    clock,
    readiness: () => 'ready',
    about: () => about,
    state: { upstreams: () => [], bufferedBytes: () => 0 },
    calls: { seen: 0 },
  };
  const page = new Page();
  new Live(parts as unknown as AdminDeps).open(page as unknown as ServerResponse);
  return { clock, page };
}

test('a page that has not read for a minute gives up its place', async () => {
  const { clock, page } = opened();
  page.reads = false;
  await clock.advance(59_000);
  expect([page.closed, page.messages]).toEqual([false, 1]);
  await clock.advance(1_000);
  expect(page.closed).toBe(true);
  expect(clock.pending).toBe(0);
});

test('a page that reads again in time goes on', async () => {
  const { clock, page } = opened();
  page.reads = false;
  await clock.advance(59_000);
  page.reads = true;
  await clock.advance(1_000);
  page.reads = false;
  await clock.advance(59_000);
  expect([page.closed, page.messages]).toEqual([false, 2]);
});
