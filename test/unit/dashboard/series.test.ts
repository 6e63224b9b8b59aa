import { describe, expect, test } from 'vitest';
import { addressOf, searchFor, searchTarget } from '../../../src/admin/dashboard/address.js';
import { callBars } from '../../../src/admin/dashboard/call-timeline.js';
import {
  bandsOf,
  chartsOf,
  describe as inWords,
  lastIntervals,
} from '../../../src/admin/dashboard/series.js';
import type { RecentCall, Traffic } from '../../../src/admin/dashboard/types.d.ts';
import { percent } from '../../../src/admin/dashboard/words.js';

/** Four intervals of 5 s, the last of which is not over. */
const traffic = (changes: Partial<Traffic> = {}): Traffic => ({
  name: 'api',
  from: '2026-01-01T00:00:00.000Z',
  step_ms: 5_000,
  calls: { ok: [10, 0, 5, 1], rescued: [0, 0, 5, 0], rejected: [0, 10, 0, 0] },
  attempts: { ok: [10, 0, 10, 1], '5xx': [0, 0, 10, 0], cut: [0, 5, 0, 0] },
  refusals: { breaker: [0, 10, 0, 0] },
  p50_ms: [5, null, 7, 5],
  p95_ms: [5, null, 7, 5],
  p99_ms: [5, null, 7, 5],
  quota_left: undefined,
  quota_waiting: undefined,
  breaker: [0, 2, 1, 0],
  cooldown: [0, 0, 1, 1],
  events: [],
  ...changes,
});

const chart = (id: string, from = traffic(), started = 0) => {
  const found = chartsOf(from, started).find((one) => one.id === id);
  if (found === undefined) throw new Error(`no chart ${id}`);
  return found;
};
const line = (id: string, label: string, ...rest: [Traffic?, number?]) =>
  chart(id, ...rest).lines.find((one) => one.label === label);

describe('charts', () => {
  test('rates per second; the interval that is not over has none', () => {
    expect(line('calls', 'ok')?.values).toEqual([2, 0, 1, null]);
    expect(line('calls', 'refused')?.values).toEqual([0, 2, 0, null]);
  });

  test('lines are drawn on top of each other, the topmost first', () => {
    const { lines } = chart('calls');
    expect(lines.map(({ label }) => label)).toEqual(['refused', 'rescued', 'ok']);
    expect(lines.map(({ drawn }) => drawn)).toEqual([
      [2, 2, 2, null],
      [2, 0, 2, null],
      [2, 0, 1, null],
    ]);
  });

  test('success of calls counts refusals; success of attempts does not count those that were cut', () => {
    expect(line('success', 'calls')?.values).toEqual([1, 0, 1, 1]);
    expect(line('success', 'attempts')?.values).toEqual([1, null, 0.5, 1]);
  });

  test('attempts per call', () => {
    expect(line('amplification', 'attempts per call')?.values).toEqual([1, 0.5, 2, 1]);
  });

  test('nothing is shown from before the start of the proxy', () => {
    const started = Date.parse('2026-01-01T00:00:07.000Z');
    expect(line('calls', 'ok', traffic(), started)?.values).toEqual([null, 0, 1, null]);
  });

  test('a quota has a chart only where one is known', () => {
    expect(chartsOf(traffic(), 0).map(({ id }) => id)).not.toContain('quota');
    expect(line('quota', 'left', traffic({ quota_left: [1, 0.5, null, 0] }))?.values).toEqual([
      1,
      0.5,
      null,
      0,
    ]);
  });

  test('breaker and cooldown are bands on the same axis', () => {
    const start = Date.parse('2026-01-01T00:00:00.000Z') / 1_000;
    expect(bandsOf(traffic())).toEqual([
      { kind: 'open', from: start + 5, to: start + 10 },
      { kind: 'half_open', from: start + 10, to: start + 15 },
      { kind: 'cooldown', from: start + 10, to: start + 20 },
    ]);
  });

  test('the last intervals alone', () => {
    const cut = lastIntervals(traffic(), 2);
    expect([cut.from, cut.calls.ok, cut.breaker]).toEqual(['2026-01-01T00:00:10.000Z', [5, 1], [1, 0]]);
    expect(lastIntervals(traffic(), 9)).toEqual(traffic());
  });

  test('a chart in words', () => {
    expect(inWords(chart('success'))).toBe(
      'Success. attempts: now 100 %, from 50 % to 100 %; calls: now 100 %, from 0 % to 100 %',
    );
  });

  test.each([
    [1, '100 %'],
    [0.9999, '99.9 %'],
    [0.991, '99.1 %'],
    [0.9, '90 %'],
    [0, '0 %'],
  ])('%d is %s, which is never rounded up', (share, text) => expect(percent(share)).toBe(text));
});

describe('the address', () => {
  test('survives a round', () => {
    for (const search of [
      '',
      '?span=5m&upstream=api&outcome=failed&text=x',
      '?view=config&upstream=api',
      '?view=whatif',
    ])
      expect(searchFor(addressOf(search))).toBe(search);
    expect(searchFor(addressOf('?id=req_1'))).toBe('?id=req_1&view=durable');
  });

  test('ignores values that do not exist', () =>
    expect(addressOf('?view=secret&span=1y&outcome=x')).toMatchObject({
      view: 'traffic',
      span: '15m',
      calls: { outcome: '' },
    }));

  test('an id of a durable request leads there', () => {
    expect(searchTarget('req_123')).toMatchObject({ view: 'durable', filters: { id: 'req_123' } });
    expect(searchTarget('a1b2')).toMatchObject({ view: 'traffic', calls: { text: 'a1b2' } });
  });
});

describe('the time axis of a call', () => {
  const call = (attempts: Partial<RecentCall['attempts'][number]>[], ms = 100) =>
    callBars({ ms, attempts } as unknown as RecentCall);
  const shown = (found: ReturnType<typeof callBars>) =>
    found.bars.map(({ kind, tone, lane, x, width }) => [kind, tone, lane, Math.round(x), Math.round(width)]);

  test('attempts, the backoff between them, and the body', () =>
    expect(
      shown(
        call([
          { n: 1, at_ms: 0, ms: 20, status: 503 },
          { n: 2, at_ms: 60, ms: 20, wait_ms: 40, reason: 'status_503', status: 200 },
        ]),
      ),
    ).toEqual([
      ['attempt', 'bad', 0, 0, 20],
      ['wait', 'none', 0, 20, 40],
      ['attempt', 'good', 0, 60, 20],
      ['body', 'none', 0, 80, 20],
    ]));

  test('a hedge has a lane of its own', () => {
    const found = call([
      { n: 1, at_ms: 0, ms: 100, error: 'hedge_lost' },
      { n: 2, at_ms: 50, ms: 50, hedged_after_ms: 50, status: 200 },
    ]);
    expect([found.lanes, ...shown(found)]).toEqual([
      2,
      ['attempt', 'bad', 0, 0, 100],
      ['attempt', 'good', 1, 50, 50],
    ]);
  });

  test('a wait for the quota follows the backoff', () =>
    expect(
      shown(
        call([
          { n: 1, at_ms: 0, ms: 10, status: 429 },
          { n: 2, at_ms: 70, ms: 30, wait_ms: 20, quota_ms: 40, reason: 'status_429', status: 200 },
        ]),
      ).slice(1, 3),
    ).toEqual([
      ['wait', 'none', 0, 10, 20],
      ['quota', 'none', 0, 30, 40],
    ]));

  test('an attempt that has not ended lasts to the end of the call', () =>
    expect(shown(call([{ n: 1, at_ms: 10 }]))).toEqual([['attempt', 'bad', 0, 10, 90]]));
});
