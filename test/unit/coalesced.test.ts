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
    end: () => events.push('END'),
    destroy: () => events.push('DESTROYED'),
    on: (_: 'drain', listener: () => void) => drains.push(listener),
  };
  return { sink, events, drains, coalesced: new Coalesced(sink) };
}

const letters = 'abcdefghijklmnop';

test('the first small chunks are forwarded at once, later ones of one turn together', async () => {
  const { events, coalesced } = setUp();
  for (const letter of `${letters}123`) coalesced.write(Buffer.from(letter));
  expect(events).toEqual(letters.split(''));
  await settled();
  expect(events).toEqual([...letters.split(''), '123']);
  coalesced.write(Buffer.from('4'));
  coalesced.end();
  expect(events.slice(-2)).toEqual(['4', 'END']);
});

test('a large chunk follows the earlier small ones', () => {
  const { events, coalesced } = setUp();
  for (const letter of `${letters}1`) coalesced.write(Buffer.from(letter));
  coalesced.write(Buffer.alloc(2_000, 'L'));
  expect(events.slice(-2)).toEqual(['1', 'L'.repeat(2_000)]);
});

test('ten thousand bytes of one packet are one write', async () => {
  const { events, coalesced } = setUp();
  for (let i = 0; i < 10_000; i++) coalesced.write(Buffer.from('x'));
  await settled();
  expect(events.length).toBe(17);
  expect(events.join('')).toBe('x'.repeat(10_000));
});

test('back-pressure of the sink is reported, also if it begins later', async () => {
  const { sink, drains, coalesced } = setUp();
  const drained = vi.fn<() => void>();
  coalesced.on('drain', drained);
  for (const letter of letters) expect(coalesced.write(Buffer.from(letter))).toBe(true);
  sink.ready = false;
  expect(coalesced.write(Buffer.from('1'))).toBe(true);
  await settled();
  expect(coalesced.write(Buffer.from('2'))).toBe(false);
  for (const drain of drains) drain();
  expect([drained.mock.calls.length, coalesced.write(Buffer.from('3'))]).toEqual([1, true]);
});

test('buffered chunks are sent before the end, also before an abort', () => {
  const { events, coalesced } = setUp();
  for (const letter of `${letters}1`) coalesced.write(Buffer.from(letter));
  coalesced.destroy();
  expect(events.slice(-2)).toEqual(['1', 'DESTROYED']);
});
