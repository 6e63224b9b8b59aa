import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConcurrencyLimit } from '../../src/policies/concurrency/limit.ts';
import type { ConcurrencyOptions } from '../../src/policies/concurrency/options.ts';
import { Permit, Permits, permitQueue } from '../../src/policies/concurrency/permits.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settled, stubCall } from '../support/stub-call.ts';

const SEED = 20_261_130;
const WAIT_MS = 100;

/** The events of an attempt, in any order. */
const KINDS = ['begin', 'lend', 'regain', 'answered', 'release', 'leave', 'wait'] as const;

const step = fc.record({
  kind: fc.constantFrom(...KINDS),
  pick: fc.nat(50),
  ms: fc.nat(80),
  evidence: fc.constantFrom('success', 'failure', 'overload', 'ignored'),
});

const settings = fc.record({
  mode: fc.constantFrom<ConcurrencyOptions['mode']>('fixed', 'adaptive'),
  max: fc.integer({ min: 1, max: 4 }),
  queue: fc.nat(3),
});

test('every permit that is taken is released once, in any order of lending, regaining, answers and ends', async () => {
  await fc.assert(
    fc.asyncProperty(settings, fc.array(step, { maxLength: 60, size: 'max' }), async (chosen, steps) => {
      const clock = new FakeClock();
      const limit = new ConcurrencyLimit({
        ...chosen,
        min: 1,
        waitMs: WAIT_MS,
        latencyCeilingMs: undefined,
      });
      const queue = permitQueue(chosen.queue);
      const permits = new Permits(limit, { queue, waitMs: WAIT_MS, clock });
      const open: { readonly permit: Permit; readonly signal: Abort }[] = [];
      const signals: Abort[] = [];

      for (const { kind, pick, ms, evidence } of steps) {
        const one = open[pick % Math.max(1, open.length)];
        if (kind === 'wait') await clock.advance(ms);
        else if (kind === 'begin') {
          const signal = new Abort();
          signals.push(signal);
          const call = stubCall({ signal, client: String(pick % 3), deadline: clock.now() + 600 });
          const taken = () => open.push({ permit: new Permit(permits, call, call.attempt, clock), signal });
          const wait = permits.acquire(call, call.attempt, false);
          if (wait === undefined) taken();
          else wait.then(taken, () => undefined);
        } else if (one !== undefined) {
          if (kind === 'lend') one.permit.lend();
          else if (kind === 'regain') one.permit.regain().catch(() => one.permit.release('ignored'));
          else if (kind === 'answered') one.permit.answered();
          else if (kind === 'release') one.permit.release(evidence);
          else one.signal.abort(new ProxyError('client_gone', 'left'));
        }
        if (pick % 2 === 0) await settled();
        expect(limit.inFlight).toBeGreaterThanOrEqual(0);
        expect(limit.inFlight).toBeLessThanOrEqual(chosen.max);
      }

      await clock.advance(WAIT_MS);
      await settled();
      for (const { permit } of open) permit.release('ignored');
      await settled();
      for (const { permit } of open) permit.release('ignored');
      expect([limit.inFlight, queue.size, clock.pending]).toEqual([0, 0, 0]);
      expect(signals.map(({ listenerCount }) => listenerCount).filter((count) => count > 0)).toEqual([]);
    }),
    { seed: SEED, numRuns: 300 },
  );
});
