import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyBuffer, start } from '../../src/http/bodies/body-buffer.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';

const SEED = 20_261_129;
const setUp = (limit = 1e9) => {
  const memory = new ByteBudget(limit);
  return { memory, log: new BodyBuffer(memory) };
};

test('a million single bytes take little more than a million bytes', () => {
  const { memory, log } = setUp();
  const packet = Buffer.from('1\r\nx\r\n');
  for (let i = 0; i < 1_000_000; i++) log.add(packet.subarray(3, 4));
  expect(log.chunks().length).toBeLessThan(100);
  expect(memory.used).toBeLessThan(1_020_000);
});

test('a small part of a large packet does not retain the packet', () => {
  const { memory, log } = setUp();
  for (let i = 0; i < 100; i++) log.add(Buffer.alloc(64 * 1024, 'x').subarray(0, 2_048));
  expect(memory.used).toBeLessThan(2 * 100 * 2_048);
  expect(log.chunks().every(({ buffer }) => buffer.byteLength <= 16 * 1024)).toBe(true);
});

test('a chunk that fills most of its packet is not copied, and its packet is counted', () => {
  const { memory, log } = setUp();
  const packet = Buffer.alloc(64 * 1024, 'x');
  log.add(packet.subarray(100));
  expect(log.chunks()[0]?.buffer).toBe(packet.buffer);
  expect(memory.used).toBe(64 * 1024);
});

test('bytes beyond the budget are not added, unless forced', () => {
  const { memory, log } = setUp(10);
  expect([log.tryAdd(Buffer.alloc(8)), log.tryAdd(Buffer.alloc(8)), log.bytes]).toEqual([true, false, 8]);
  log.add(Buffer.alloc(8));
  expect([memory.used, memory.spent, log.bytes]).toEqual([16, true, 16]);
  log.release();
  expect([memory.used, memory.spent]).toEqual([0, false]);
});

test('readers of any speed get all bytes in order, and no memory stays counted', () => {
  const step = fc.record({
    length: fc.integer({ min: 0, max: 5_000 }),
    large: fc.boolean(),
    reads: fc.boolean(),
    drops: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const { memory, log } = setUp();
      const [quick, slow] = [start(), start()];
      const got: [Buffer[], Buffer[]] = [[], []];
      const sent: Buffer[] = [];
      let next = 0;
      const read = (position: typeof quick, into: Buffer[]) => {
        for (let chunk = log.next(position); chunk !== undefined; chunk = log.next(position))
          into.push(Buffer.from(chunk));
      };
      for (const { length, large, reads, drops } of steps) {
        const chunk = Buffer.alloc(large ? length : length % 10, next++ % 251);
        sent.push(Buffer.from(chunk));
        log.add(chunk);
        read(quick, got[0]);
        if (reads) read(slow, got[1]);
        if (drops) log.dropBefore(slow.bytes);
      }
      read(slow, got[1]);
      const whole = Buffer.concat(sent);
      expect(Buffer.concat(got[0]).equals(whole)).toBe(true);
      expect(Buffer.concat(got[1]).equals(whole)).toBe(true);
      expect(log.bytes).toBe(whole.length);
      log.release();
      expect(memory.used).toBe(0);
    }),
    { seed: SEED, numRuns: 300 },
  );
});
