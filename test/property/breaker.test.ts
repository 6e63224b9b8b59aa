import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Breaker } from '../../src/policies/circuit-breaker/breaker.ts';
import type { BreakerOptions } from '../../src/policies/circuit-breaker/options.ts';
import type { Permit } from '../../src/policies/circuit-breaker/permit.ts';
import { probeWaitMs } from '../../src/policies/circuit-breaker/probe-wait.ts';
import { OutcomeWindow } from '../../src/policies/circuit-breaker/window.ts';
import { seededRandom } from '../support/seeded-random.ts';

const SEED = 20_260_101;
const RUNS = { seed: SEED, numRuns: 250 };

/** Small numbers, so that random steps reach every state. */
const OPTIONS: BreakerOptions = {
  mode: 'enforce',
  windowMs: 1_000,
  minRequests: 4,
  failureRate: 0.6,
  slow: undefined,
  connectFailures: 3,
  consecutiveFailures: 5,
  probes: 2,
  waitRatio: 0.1,
  minWaitMs: 100,
  maxWaitMs: 1_000,
};
const LEASE_MS = 300;

const acquire = fc.record({ do: fc.constant('acquire' as const) });
const wait = fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 400 }) });
const answer = fc.record({ do: fc.constant('answer' as const), pick: fc.nat() });
const settle = fc.record({
  do: fc.constant('settle' as const),
  pick: fc.nat(),
  result: fc.constantFrom('success', 'failure', 'failure', 'ignored'),
  connect: fc.boolean(),
});
const step = fc.oneof(
  { weight: 5, arbitrary: acquire },
  { weight: 5, arbitrary: settle },
  { weight: 1, arbitrary: answer },
  { weight: 3, arbitrary: wait },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
const steps = fc.array(step, { maxLength: 200, size: 'max' });

/** A breaker under random steps, and what a bystander can see of it. */
class Drive {
  now = 0;
  held: Permit[] = [];
  changes: string[] = [];
  stale = 0;
  epoch = 0;
  readonly breaker: Breaker;

  constructor() {
    this.breaker = new Breaker(OPTIONS, seededRandom(7), {
      changed: (from, to, cause) => {
        this.epoch++;
        this.changes.push(`${from} ${to} ${cause}`);
      },
      stale: () => this.stale++,
    });
  }

  do(next: Step): Permit | undefined {
    if (next.do === 'wait') {
      this.now += next.ms;
      return undefined;
    }
    if (next.do === 'acquire') {
      const permit = this.breaker.tryAcquire(this.now, LEASE_MS);
      if (permit !== undefined) this.held.push(permit);
      return permit;
    }
    if (this.held.length === 0) return undefined;
    // Time is caught up with first, so that what happens next is the settling's doing alone.
    this.breaker.state(this.now);
    const index = next.pick % this.held.length;
    if (next.do === 'answer') this.held[index]?.answer(this.now);
    else this.#settle(this.held.splice(index, 1)[0]!, next);
    return undefined;
  }

  #settle(permit: Permit, { result, connect }: Extract<Step, { do: 'settle' }>): void {
    if (result === 'success') permit.succeed(this.now);
    else if (result === 'failure') permit.fail(this.now, { connect });
    else permit.ignore(this.now);
  }
}

test('passes no call while open, and every call while closed', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      const wrong: Step[] = [];
      for (const next of sequence) {
        const state = drive.breaker.state(drive.now);
        const permit = drive.do(next);
        if (next.do !== 'acquire') continue;
        if (state === 'open' && permit !== undefined) wrong.push(next);
        if (state === 'closed' && permit?.probe !== false) wrong.push(next);
      }
      expect(wrong).toEqual([]);
    }),
    RUNS,
  );
});

test('stays open at least the shortest wait', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      for (const next of sequence) {
        drive.breaker.state(drive.now);
        const before = drive.changes.length;
        drive.do(next);
        const opened = drive.changes.slice(before).at(-1)?.includes(' open ') === true;
        if (!opened || next.do !== 'settle') continue;
        const shortest = 0.8 * OPTIONS.minWaitMs;
        expect(drive.breaker.retryAfterMs(drive.now)).toBeGreaterThanOrEqual(shortest);
        expect(drive.breaker.tryAcquire(drive.now + shortest - 1)).toBeUndefined();
      }
    }),
    RUNS,
  );
});

test('half-open: never two probes at once, unless the first one has outlasted its lease', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      const together: Permit[][] = [];
      let probe: { permit: Permit; until: number } | undefined;
      for (const next of sequence) {
        const permit = drive.do(next);
        if (probe !== undefined && !drive.held.includes(probe.permit)) probe = undefined;
        if (permit?.probe !== true) continue;
        const lapsed = probe !== undefined && drive.now > probe.until;
        if (probe?.permit.epoch === permit.epoch && !lapsed) together.push([probe.permit, permit]);
        probe = { permit, until: drive.now + LEASE_MS };
      }
      expect(together).toEqual([]);
    }),
    RUNS,
  );
});

test('a result from an earlier epoch that was no probe moves nothing and is reported', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      for (const next of sequence) {
        const { breaker, now, held } = drive;
        const before = [breaker.state(now), breaker.retryAfterMs(now), drive.epoch];
        const stale = drive.stale;
        const target = next.do === 'settle' ? held[next.pick % held.length] : undefined;
        // The result of a probe counts for as long as its outage lasts.
        const old = target !== undefined && target.epoch !== drive.epoch && !target.probe;
        drive.do(next);
        if (!old || next.do !== 'settle') continue;
        expect([breaker.state(now), breaker.retryAfterMs(now), drive.epoch]).toEqual(before);
        expect(drive.stale - stale).toBe(Number(next.result !== 'ignored'));
      }
    }),
    RUNS,
  );
});

test('a permit settled twice has been settled once', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const once = new Drive();
      const twice = new Drive();
      for (const next of sequence) {
        once.do(next);
        const target = next.do === 'settle' ? twice.held[next.pick % twice.held.length] : undefined;
        twice.do(next);
        target?.fail(twice.now, { connect: true });
        target?.succeed(twice.now);
      }
      expect([twice.changes, twice.stale]).toEqual([once.changes, once.stale]);
    }),
    RUNS,
  );
});

test('asking changes nothing', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const quiet = new Drive();
      const asked = new Drive();
      for (const next of sequence) {
        const answers = [quiet.do(next), asked.do(next)].map((permit) => permit?.probe);
        expect(answers[1]).toBe(answers[0]);
        asked.breaker.state(asked.now);
        asked.breaker.retryAfterMs(asked.now);
      }
      expect(asked.breaker.retryAfterMs(asked.now)).toBe(quiet.breaker.retryAfterMs(quiet.now));
      expect(asked.changes).toEqual(quiet.changes);
    }),
    RUNS,
  );
});

test('0 to wait means a permit, and more than 0 means none', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      const wrong: number[] = [];
      for (const next of sequence) {
        const waitMs = drive.breaker.retryAfterMs(drive.now);
        const permit = drive.do(next);
        if (next.do === 'acquire' && (permit !== undefined) !== (waitMs === 0)) wrong.push(waitMs);
      }
      expect(wrong).toEqual([]);
    }),
    RUNS,
  );
});

test('without failures it never opens; without results nothing happens', () => {
  fc.assert(
    fc.property(steps, fc.constantFrom('success', 'ignored'), (sequence, result) => {
      const drive = new Drive();
      for (const next of sequence) drive.do(next.do === 'settle' ? { ...next, result } : next);
      expect(drive.changes).toEqual([]);
    }),
    RUNS,
  );
});

test('after any history, an hour later a healthy upstream is trusted again after its probes', () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      for (const next of sequence) drive.do(next);
      drive.now += 3_600_000;
      for (let i = 0; i < OPTIONS.probes; i++) {
        const permit = drive.breaker.tryAcquire(drive.now);
        expect(permit).toBeDefined();
        permit?.succeed(drive.now);
      }
      expect(drive.breaker.state(drive.now)).toBe('closed');
    }),
    RUNS,
  );
});

test('once forced nothing moves it, until auto starts it again as closed', () => {
  fc.assert(
    fc.property(steps, fc.constantFrom('open' as const, 'closed' as const), steps, (before, force, after) => {
      const drive = new Drive();
      for (const next of before) drive.do(next);
      drive.breaker.force(force, drive.now);
      drive.changes = [];
      for (const next of after) {
        const permit = drive.do(next);
        if (next.do === 'acquire' && (permit !== undefined) !== (force === 'closed'))
          drive.changes.push('let through');
        if (drive.breaker.state(drive.now) !== force) drive.changes.push('moved');
      }
      expect(drive.changes).toEqual([]);
      drive.breaker.force('auto', drive.now);
      expect(drive.breaker.state(drive.now)).toBe('closed');
      expect(drive.changes).toEqual(force === 'open' ? ['open closed forced'] : []);
    }),
    RUNS,
  );
});

test('changes form a chain of allowed transitions', () => {
  const allowed = [
    /^closed open (failure_rate|connect_failures|consecutive_failures)$/,
    /^open half_open (wait_over|probe_answered)$/,
    /^open closed probes_succeeded$/,
    /^half_open closed probes_succeeded$/,
    /^half_open open probe_(failed|hung)$/,
  ];
  fc.assert(
    fc.property(steps, (sequence) => {
      const drive = new Drive();
      for (const next of sequence) drive.do(next);
      const last = drive.breaker.state(drive.now);
      let state = 'closed';
      for (const change of drive.changes) {
        expect(allowed.some((pattern) => pattern.test(change))).toBe(true);
        expect(change.startsWith(`${state} `)).toBe(true);
        state = change.split(' ')[1] ?? '';
      }
      expect(last).toBe(state);
    }),
    RUNS,
  );
});

test('every wait is within its bounds, however old the outage', () => {
  const ms = fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true });
  fc.assert(
    fc.property(ms, fc.double({ min: 0, max: 1, noNaN: true }), (age, roll) => {
      const waitMs = probeWaitMs(age, OPTIONS, () => roll);
      expect(waitMs).toBeGreaterThanOrEqual(0.8 * OPTIONS.minWaitMs);
      expect(waitMs).toBeLessThanOrEqual(1.201 * OPTIONS.maxWaitMs);
    }),
    RUNS,
  );
});

test('the window counts as a list of all outcomes would, and forgets in whole buckets', () => {
  const event = fc.record({
    gap: fc.oneof(fc.integer({ min: 0, max: 250 }), fc.constantFrom(999, 1_000, 1_001, 1e11)),
    failed: fc.boolean(),
    slow: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200, size: 'max' }), (events) => {
      const window = new OutcomeWindow(1_000);
      const all: Array<{ bucket: number; failed: boolean; slow: boolean }> = [];
      let now = 0;
      for (const { gap, failed, slow } of events) {
        now += gap;
        const bucket = Math.floor(now / 100);
        all.push({ bucket, failed, slow });
        window.record(now, failed, slow);
        const inWindow = all.filter((one) => one.bucket > bucket - 10);
        expect(window.total).toEqual({
          attempts: inWindow.length,
          failures: inWindow.filter((one) => one.failed).length,
          slow: inWindow.filter((one) => one.slow).length,
        });
      }
    }),
    RUNS,
  );
});
