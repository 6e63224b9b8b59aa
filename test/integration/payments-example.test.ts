import { describe, expect, test } from 'vitest';
import { runPayments } from '../../examples/payments/payments.ts';
import { run } from '../support/command.ts';

/** Answers come within 50 ms instead of 10 s. */
const SPEED = 200;

describe('payments by way of an API that fails most of the time', () => {
  test.each([1, 2, 3])('end well, each made once, with one callback (seed %i)', async (seed) => {
    const lines: string[] = [];
    const { paid, seen } = await runPayments({
      payments: 4,
      seed,
      speed: SPEED,
      say: (line) => lines.push(line),
    });
    const orders = ['order-1', 'order-2', 'order-3', 'order-4'];
    expect(paid.map(({ order, status, callback }) => [order, status, callback])).toEqual(
      orders.map((order) => [order, 'succeeded', 'request.succeeded']),
    );
    // Submitted twice each, and still: every attempt carried the order's own key, and its one success ended them.
    for (const { order, result } of paid) {
      const outcomes = seen.filter(({ idempotency_key: key }) => key === order).map(({ outcome }) => outcome);
      expect(outcomes).toEqual([...Array(outcomes.length - 1).fill('503'), '201']);
      // The receipt was a pending payment; the fetched one and that of the callback are settled.
      expect([result.status, JSON.parse(result.text)]).toMatchObject([200, { status: 'settled' }]);
    }
    expect(seen.length).toBeGreaterThan(4);
    for (const order of orders) {
      expect(lines).toContainEqual(
        expect.stringContaining(`${order}: submitted once more: the same request`),
      );
      expect(lines).toContainEqual(expect.stringContaining(`${order}: callback: request.succeeded`));
    }
    expect(lines).toContainEqual(
      expect.stringMatching(/attempt \d ended with \d+, .*(backoff|polling|runs|due)/),
    );
    expect(lines.at(-1)).toBe('4 of 4 payments succeeded, by 4 payments at the API');
  });

  test('as the program that README names', async () => {
    const program = run(process.execPath, ['examples/payments/run.ts', '--payments=2', `--speed=${SPEED}`]);
    expect(await program.ended()).toBe(0);
    expect(program.out).toMatch(/2 of 2 payments succeeded, by 2 payments at the API\n$/);
    expect(program.err).toBe('');
  });
});
