import { expect, test, vi } from 'vitest';
import { Coalesced } from '../../src/http/bodies/coalesced.ts';
import { settled } from '../support/stub-call.ts';

function setUp() {
  const events: string[] = [];
  const drains: (() => void)[] = [];
  const sink = {
    destroyed: false,
    ready: true,
    write: (chunk: Uint8Array) => {
      events.push(Buffer.from(chunk).toString());
      return sink.ready;
    },
    writeNow: (chunk: Uint8Array) => {
      events.push('NOW');
      return sink.write(chunk);
    },
    end: () => events.push('END'),
    destroy: () => events.push('DESTROYED'),
    on: (_: 'drain', listener: () => void) => drains.push(listener),
  };
  return { sink, events, drains, coalesced: new Coalesced(sink) };
}

test('the small chunks of one turn are one write, which is sent at the end of the turn', async () => {
  const { events, coalesced } = setUp();
  for (const letter of '123') coalesced.write(Buffer.from(letter));
  expect(events).toEqual([]);
  await settled();
  expect(events).toEqual(['NOW', '123']);
});

test('a sink that cannot send at once gets the chunks too', async () => {
  const { sink, events } = setUp();
  const { writeNow: _, ...plain } = sink;
  const coalesced = new Coalesced(plain);
  coalesced.write(Buffer.from('1'));
  await settled();
  expect(events).toEqual(['1']);
});

test('the end of the body does not wait for the end of the turn', async () => {
  const { events, coalesced } = setUp();
  coalesced.write(Buffer.from('1'));
  coalesced.end();
  await settled();
  expect(events).toEqual(['1', 'END']);
});

test('a large chunk follows the earlier small ones', () => {
  const { events, coalesced } = setUp();
  coalesced.write(Buffer.from('1'));
  coalesced.write(Buffer.alloc(2_000, 'L'));
  expect(events).toEqual(['1', 'L'.repeat(2_000)]);
});

test('ten thousand bytes of one packet are one write', async () => {
  const { events, coalesced } = setUp();
  for (let i = 0; i < 10_000; i++) coalesced.write(Buffer.from('x'));
  await settled();
  expect(events).toEqual(['NOW', 'x'.repeat(10_000)]);
});

test('back-pressure of the sink is reported, also if it begins later', async () => {
  const { sink, drains, coalesced } = setUp();
  const drained = vi.fn<() => void>();
  coalesced.on('drain', drained);
  sink.ready = false;
  expect(coalesced.write(Buffer.from('1'))).toBe(true);
  await settled();
  expect(coalesced.write(Buffer.from('2'))).toBe(false);
  for (const drain of drains) drain();
  expect([drained.mock.calls.length, coalesced.write(Buffer.from('3'))]).toEqual([1, true]);
});

test('buffered chunks are sent before an abort', () => {
  const { events, coalesced } = setUp();
  coalesced.write(Buffer.from('1'));
  coalesced.destroy();
  expect(events).toEqual(['1', 'DESTROYED']);
});
