import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConcurrencyLimit, type Evidence } from '../../src/policies/concurrency/limit.ts';
import type { ConcurrencyOptions } from '../../src/policies/concurrency/options.ts';
import { permitQueue } from '../../src/policies/concurrency/permits.ts';
import { concurrencyLimit } from '../../src/policies/concurrency/policy.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import {
  type StubAttempt,
  type StubCall,
  type StubReply,
  settled,
  stubCall,
  stubReply,
  stubUpstream,
  through,
} from '../support/stub-call.ts';

const SEED = 20_260_102;

const options = fc
  .record({
    mode: fc.constantFrom('adaptive' as const, 'fixed' as const),
    min: fc.integer({ min: 1, max: 3 }),
    max: fc.constantFrom(3, 5, 8, Infinity),
    queue: fc.integer({ min: 0, max: 6 }),
    waitMs: fc.constant(100),
    latencyCeilingMs: fc.option(fc.constant(150), { nil: undefined }),
  })
  .map((all): ConcurrencyOptions => all);

const limitStep = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('acquire' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('release' as const),
      evidence: fc.constantFrom<Evidence>('success', 'success', 'failure', 'overload', 'ignored'),
      latencyMs: fc.integer({ min: 0, max: 300 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 200 }) }),
  },
);

test('the limit stays within its bounds, permits within the limit, and only evidence moves it', () => {
  fc.assert(
    fc.property(options, fc.array(limitStep, { maxLength: 300, size: 'max' }), (given, sequence) => {
      const limit = new ConcurrencyLimit(given);
      const bounds = given.mode === 'adaptive' ? [given.min, given.max] : [given.max, given.max];
      let now = 0;
      let held = 0;
      let fellAt = -Infinity;
      const wrong: string[] = [];
      for (const next of sequence) {
        const before = limit.limit;
        if (next.do === 'wait') now += next.ms;
        else if (next.do === 'acquire') {
          if (limit.tryAcquire() !== held < before) wrong.push(`permit ${held + 1} at ${before}`);
          held = Math.max(held, Math.min(held + 1, before));
        } else if (held > 0) {
          limit.release(next.evidence, next.latencyMs, now);
          held--;
          const overload =
            next.evidence === 'overload' || next.latencyMs > (given.latencyCeilingMs ?? Infinity);
          if (limit.limit > before && (next.evidence !== 'success' || overload))
            wrong.push(`rose on ${next.evidence}`);
          const fell = limit.limit < before;
          if (fell && (!overload || next.evidence === 'ignored')) wrong.push(`fell on ${next.evidence}`);
          if (fell && now - fellAt < 100) wrong.push(`fell again after ${now - fellAt} ms`);
          if (fell) fellAt = now;
        }
        expect(limit.inFlight).toBe(held);
        expect(limit.limit).toBeGreaterThanOrEqual(bounds[0]!);
        expect(limit.limit).toBeLessThanOrEqual(bounds[1]!);
      }
      expect(wrong).toEqual([]);
    }),
    { seed: SEED, numRuns: 150 },
  );
});

const policyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('arrive' as const),
      deadlineMs: fc.integer({ min: 0, max: 2_000 }),
      client: fc.constantFrom('one', 'two', 'three'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), pick: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), pick: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 120 }) }),
  },
);

function takeOne<T>(items: T[], pick: number): T | undefined {
  return items.splice(pick % Math.max(1, items.length), 1)[0];
}

test('permits are released exactly once after any end of a call, and nothing is left behind', async () => {
  await fc.assert(
    fc.asyncProperty(
      options,
      fc.array(policyStep, { maxLength: 60, size: 'max' }),
      async (given, sequence) => {
        const clock = new FakeClock();
        const limit = new ConcurrencyLimit({ ...given, mode: 'fixed' });
        const queue = permitQueue(given.queue);
        const upstream = stubUpstream();
        const send = through(concurrencyLimit(limit, { queue, waitMs: given.waitMs, clock }), upstream.send);
        const calls: StubCall[] = [];
        const replies: StubReply[] = [];
        const pending: Array<Promise<unknown>> = [];
        const failures: unknown[] = [];

        const answer = (attempt: StubAttempt | undefined) => {
          if (attempt === undefined || attempt.attempt.signal.aborted) return;
          const reply = stubReply();
          attempt.answer(reply);
          replies.push(reply);
        };
        for (const next of sequence) {
          if (next.do === 'arrive') {
            const call = stubCall({ deadline: clock.now() + next.deadlineMs, client: next.client });
            calls.push(call);
            pending.push(send(call, call.attempt).catch((error: unknown) => failures.push(error)));
          } else if (next.do === 'answer') answer(takeOne(upstream.attempts, next.pick));
          else if (next.do === 'fail')
            takeOne(upstream.attempts, next.pick)?.fail(new ProxyError('attempt_timeout', 'late'));
          else if (next.do === 'end') takeOne(replies, next.pick)?.body.end('complete');
          else if (next.do === 'leave')
            calls[next.pick % calls.length]?.signal.abort(new ProxyError('client_gone', 'gone'));
          else await clock.advance(next.ms);
          await settled();
          expect(limit.inFlight).toBeLessThanOrEqual(given.max);
          expect(queue.size > 0 && limit.inFlight < limit.limit).toBe(false);
        }
        await clock.advance(1_000);
        while (upstream.attempts.length > 0 || replies.length > 0) {
          answer(upstream.attempts.pop());
          replies.pop()?.body.end('complete');
          await settled();
        }
        await Promise.all(pending);
        expect(failures.filter((failure) => !(failure instanceof ProxyError))).toEqual([]);
        expect([limit.inFlight, queue.size, clock.pending]).toEqual([0, 0, 0]);
        for (const call of calls) expect(call.signal.listenerCount).toBe(0);
      },
    ),
    { seed: SEED, numRuns: 150 },
  );
});
