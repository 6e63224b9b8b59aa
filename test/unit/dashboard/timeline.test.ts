import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  outcomeOf,
  placed,
  position,
  type Segment,
  segments,
} from '../../../src/admin/dashboard/timeline.js';
import type { Attempt, Monitor } from '../../../src/admin/dashboard/types.d.ts';

const T0 = Date.UTC(2026, 0, 1);
const iso = (seconds: number) => new Date(T0 + seconds * 1_000).toISOString();
const at = (seconds: number) => T0 + seconds * 1_000;

const monitor = (more: Partial<Monitor>) =>
  ({ created_at: iso(0), status: 'waiting', done: false, plan: [], ...more }) as Monitor;
const attempt = (n: number, seconds: number, more: Partial<Attempt> = {}) =>
  ({ n, at: iso(seconds), ms: 1_000, status: 503, reclaimed: false, ...more }) as Attempt;

/** `attempt bad 0–1 503`, in seconds from the beginning. */
const textsOf = (all: readonly Segment[]) =>
  all.map(({ kind, tone, from, to, label }) =>
    [kind, tone, `${(from - T0) / 1_000}–${(to - T0) / 1_000}`, label]
      .filter((word) => word !== 'none')
      .join(' ')
      .trim(),
  );

const FIRST = attempt(1, 0, { wait_ms: 9_000, reason: 'backoff' });
const SECOND = attempt(2, 10, { wait_ms: 30_000, reason: 'retry_after' });

describe('the past', () => {
  test('a bar for each attempt, a gap with its reason for each wait', () => {
    const done = monitor({ status: 'succeeded', done: true });
    const third = attempt(3, 41, { status: 200 });
    expect(textsOf(segments(done, [FIRST, SECOND, third], at(100)))).toEqual([
      'attempt bad 0–1 503',
      'wait 1–10 backoff',
      'attempt bad 10–11 503',
      'wait 11–41 Retry-After',
      'attempt good 41–42 200',
    ]);
  });

  test('the wait before the first', () =>
    expect(textsOf(segments(monitor({ status: 'failed', done: true }), [attempt(1, 60)], at(61)))).toEqual([
      'wait 0–60 accepted',
      'attempt bad 60–61 503',
    ]));

  test('attempts never overlap, even if the clock was set back', () => {
    const back = attempt(2, -30, { ms: 2_000 });
    expect(textsOf(segments(monitor({ done: true, status: 'failed' }), [FIRST, back], at(5)))).toEqual([
      'attempt bad 0–1 503',
      'attempt bad 1–3 503',
    ]);
  });

  test.each([
    [{ status: 503 }, '503'],
    [{ error: 'timeout' }, 'timeout'],
    [{ status: 200, error: 'body_cut' }, '200, body_cut'],
    [{ reclaimed: true }, 'lost in a restart'],
    [{}, 'no reply'],
  ])('the outcome of %j is: %s', (more, text) =>
    expect(outcomeOf({ status: undefined, error: undefined, reclaimed: false, ...more })).toBe(text),
  );

  test('a 200 with an incomplete body is not a success', () => {
    const broken = attempt(1, 0, { status: 200, error: 'body_cut' });
    expect(segments(monitor({ done: true }), [broken], at(1))[0]?.tone).toBe('bad');
  });
});

describe('the present', () => {
  test('a running attempt reaches to the present', () => {
    const running = monitor({ status: 'running' });
    expect(textsOf(segments(running, [FIRST], at(12)))).toEqual([
      'attempt bad 0–1 503',
      'wait 1–10 backoff',
      'running 10–12',
    ]);
    expect(textsOf(segments(running, [], at(3)))).toEqual(['running 0–3']);
  });

  test('the present lies in the current wait', () => {
    const waiting = monitor({ next: { at: iso(10), reason: 'backoff' }, plan: [iso(10)] });
    const all = placed(segments(waiting, [FIRST], at(5)));
    const gap = all[1];
    expect(position(all, at(1))).toBe(gap?.x);
    expect(position(all, at(5.5))).toBeCloseTo((gap?.x ?? 0) + (gap?.width ?? 0) / 2);
    expect(position(all, at(100))).toBeUndefined();
    expect(position([], at(0))).toBeUndefined();
  });
});

describe('the future', () => {
  test('the current wait with its reason, then the planned attempts', () => {
    const waiting = monitor({ next: { at: iso(10), reason: 'breaker_open' }, plan: [10, 15, 20].map(iso) });
    expect(textsOf(segments(waiting, [FIRST], at(2)))).toEqual([
      'attempt bad 0–1 503',
      'wait 1–10 breaker open',
      'planned 10–10',
      'wait good 10–15 planned',
      'planned 15–15',
      'wait good 15–20 planned',
      'planned 20–20',
    ]);
  });

  test('a far future does not hide the past', () => {
    const waiting = monitor({ next: { at: iso(10), reason: 'backoff' }, plan: [10, 40, 9_000].map(iso) });
    // At most 2.5 times the time up to the next attempt.
    expect(segments(waiting, [FIRST], at(2)).at(-1)?.to).toBe(at(10));
    const closer = monitor({ next: { at: iso(10), reason: 'backoff' }, plan: [10, 25, 9_000].map(iso) });
    expect(segments(closer, [FIRST], at(2)).at(-1)?.to).toBe(at(25));
  });

  test('an overdue attempt comes now at the earliest', () => {
    const overdue = monitor({ next: { at: iso(10), reason: 'quota' }, plan: [10, 15, 70].map(iso) });
    expect(textsOf(segments(overdue, [FIRST], at(60)))).toEqual([
      'attempt bad 0–1 503',
      'wait 1–60 quota',
      'planned 60–60',
      'wait good 60–70 planned',
      'planned 70–70',
    ]);
  });

  test('a finished request has no future', () =>
    expect(
      textsOf(segments(monitor({ status: 'cancelled', done: true, plan: [iso(9)] }), [FIRST], at(2))),
    ).toEqual(['attempt bad 0–1 503']));

  test('a removed route has no plan, but the next attempt is shown', () =>
    expect(
      textsOf(segments(monitor({ status: 'queued', next: { at: iso(5), reason: undefined } }), [], at(0))),
    ).toEqual(['wait 0–5 due', 'planned 5–5']));
});

test('placed: in order, without gap or overlap, 100 % in total, with a minimum width', () => {
  const kind = fc.constantFrom<Segment['kind']>('attempt', 'running', 'wait', 'planned');
  const lengths = fc.array(fc.tuple(kind, fc.nat(86_400_000)), { minLength: 1, size: 'max', maxLength: 300 });
  fc.assert(
    fc.property(lengths, (given) => {
      let from = T0;
      const all = given.map(([kind_, ms]): Segment => {
        const segment = { kind: kind_, tone: 'none', from, to: from + ms, label: '', title: '' } as const;
        from += ms;
        return segment;
      });
      let x = 0;
      for (const one of placed(all)) {
        expect(one.x).toBeCloseTo(x);
        expect(one.width).toBeGreaterThan(0.05);
        x += one.width;
      }
      expect(x).toBeCloseTo(100);
    }),
  );
});
