import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { costReader, type ReadCost } from '../../src/policies/quota/cost-reader.ts';
import { CostPlan } from '../../src/policies/quota/stated-cost.ts';

const PLAN = new CostPlan([[['usage', 'in']], [['usage', 'out']]]);
const TYPES = ['application/json', 'text/event-stream', 'application/x-ndjson'];
const CODINGS = ['identity', 'gzip', 'br', 'odd'];

/** The cost that is read from a body in these chunks. The memory must be free again. */
function read(type: string, coding: string, chunks: readonly Uint8Array[], complete: boolean): ReadCost[] {
  const memory = new ByteBudget(1_000_000);
  const reads: ReadCost[] = [];
  const headers = ['Content-Type', type, 'Content-Encoding', coding];
  const reader = costReader({ status: 200, headers }, PLAN, { memory, onRead: (cost) => reads.push(cost) });
  for (const chunk of chunks) reader?.write(chunk);
  reader?.end(complete);
  expect(memory.used).toBe(0);
  return reads;
}

test('any bytes, cut anywhere, are read without an error and once', () => {
  const bytes = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), fc.constantFrom(...CODINGS), bytes, fc.boolean(), (...body) => {
      expect(read(...body)).toHaveLength(1);
    }),
  );
});

test('events give the same cost, wherever they are cut', () => {
  const event = fc.constantFrom(
    'data: {"usage":{"in":3}}\n\n',
    'data: {"usage":{"in":3,"out":9}}\r\n\r\n',
    'event: x\ndata: {"usage":\ndata: {"out":7}}\n\n',
    'data: {"text":"usage ü"}\n\n',
    'data: [DONE]\n\n',
    ': comment\n\n',
    'data: {"usage"\n\n',
  );
  fc.assert(
    fc.property(fc.array(event), fc.array(fc.nat(300)), (events, cuts) => {
      const whole = Buffer.from(events.join(''));
      const at = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
      const chunks = at.slice(1).map((end, index) => whole.subarray(at[index], end));
      const type = 'text/event-stream';
      expect(read(type, 'identity', chunks, true)).toEqual(read(type, 'identity', [whole], true));
    }),
  );
});
