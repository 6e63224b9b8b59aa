import { expect, test, vi } from 'vitest';
import { RecordedBody, type Recording } from '../../src/http/bodies/recorded-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { StubBody } from '../support/stub-call.ts';

function setUp({ maxBytes = 10_000, limit = 100_000 } = {}) {
  const memory = new ByteBudget(limit);
  const onDone = vi.fn<(recording: Recording | undefined) => void>();
  const upstream = new StubBody();
  const body = new RecordedBody(upstream, { maxBytes, memory, client: new Abort(), onDone });
  return { body, memory, onDone, upstream };
}

test('many small chunks become few, in order', () => {
  const { body, memory, onDone } = setUp();
  let sent = '';
  const write = (text: string) => {
    sent += text;
    body.write(Buffer.from(text));
  };
  for (let i = 0; i < 1_000; i++) write(String(i % 10));
  write('L'.repeat(2_000));
  write('end');
  // Blocks of 1, 1, 2, 4, … 512, then one for the last two pieces.
  expect(memory.used).toBe(1_024 + 2_000 + 3_000);
  body.end();
  const chunks = onDone.mock.calls[0]?.[0]?.chunks ?? [];
  expect(Buffer.concat(chunks).toString()).toBe(sent);
  expect(chunks.length).toBe(13);
  expect([onDone.mock.calls.length, memory.used]).toEqual([1, 0]);
});

test.each([
  ['it is too large', { maxBytes: 5 }],
  ['all recorders together hold too much', { limit: 5 }],
])('when %s, nothing is recorded, and the memory is freed', (_, bounds) => {
  const { body, memory, onDone, upstream } = setUp(bounds);
  body.write(Buffer.from('abc'));
  expect(memory.used).toBe(3);
  body.write(Buffer.from('def'));
  body.write(Buffer.from('g'));
  body.end();
  upstream.end('complete');
  expect(onDone.mock.calls).toEqual([[undefined]]);
  expect(memory.used).toBe(0);
});

test('a broken body frees its memory', () => {
  const { body, memory, onDone, upstream } = setUp();
  body.write(Buffer.from('abc'));
  upstream.end('broken');
  body.destroy();
  expect([onDone.mock.calls, memory.used]).toEqual([[[undefined]], 0]);
});
