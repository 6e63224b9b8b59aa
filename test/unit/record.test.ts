import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CallRecord, notable } from '../../src/telemetry/call-record.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { RecordingObserver, rescuedStory, Story } from '../support/record.ts';

describe('attempts', () => {
  test('an ordinary call has one, without wait or reason', async () => {
    const story = new Story();
    await story.clock.advance(3);
    await story.attempt(200, 20);
    const record = story.end();
    expect(record.entries).toEqual([
      { n: 1, atMs: 3, ms: 20, status: 200, error: undefined, waitMs: 0, reason: undefined },
    ]);
    expect(record.outcome).toBe('ok');
  });

  test('each knows when it started, what led to it and what came of it', async () => {
    const record = (await rescuedStory()).end();
    expect(
      record.entries.map(({ n, atMs, ms, status, waitMs, reason }) => [n, atMs, ms, status, waitMs, reason]),
    ).toEqual([
      [1, 0, 10, 503, 0, undefined],
      [2, 422, 10, 503, 412, 'status_503'],
      [3, 1732, 5, 200, 1300, 'status_503'],
    ]);
  });

  test('a retry that was refused before it left is not one, and keeps its number', async () => {
    const story = new Story();
    await story.attempt(503);
    await story.wait(100, 'status_503');
    story.record.note('rejected', 'breaker_open');
    await story.wait(100, 'breaker_open');
    story.record.attemptStarted(3);
    const record = story.end();
    expect(record.attempts).toBe(2);
    expect(record.entries.map(({ n }) => n)).toEqual([1, 3]);
    expect(record.entries[1]?.ms).toBeUndefined();
  });

  test('a result settles the attempt that it belongs to', () => {
    const { record } = new Story();
    record.attemptStarted(1);
    record.attemptStarted(2);
    record.attemptAnswered(1, { status: 204 }, 7);
    record.attemptAnswered(9, { status: 500 }, 7);
    expect(record.entries.map(({ status }) => status)).toEqual([204, undefined]);
  });

  test('there are as many as attempts that started, whatever else happens', () => {
    const attempt = fc.integer({ min: 1, max: 5 });
    const event: fc.Arbitrary<{ readonly starts: boolean; readonly tell: (record: CallRecord) => void }> =
      fc.oneof(
        attempt.map((n) => ({ starts: true, tell: (record: CallRecord) => record.attemptStarted(n) })),
        attempt.map((n) => ({
          starts: false,
          tell: (record: CallRecord) => record.attemptAnswered(n, { status: 503 }, 1),
        })),
        attempt.map((n) => ({
          starts: false,
          tell: (record: CallRecord) => record.retryScheduled(n, 1, 'status_503'),
        })),
        fc.constant({
          starts: false,
          tell: (record: CallRecord) => record.note('rejected', 'concurrency_limit'),
        }),
        fc.constant({ starts: false, tell: (record: CallRecord) => record.note('retry_denied', 'budget') }),
      );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100, size: 'max' }), (events) => {
        const { record } = new Story();
        for (const { tell } of events) tell(record);
        expect(record.attempts).toBe(events.filter(({ starts }) => starts).length);
      }),
      { seed: 7, numRuns: 50 },
    );
  });
});

describe('outcome', () => {
  const ended = async (
    ...[attempts, result]: [(number | 'connection_refused')[], Parameters<Story['end']>[0]?]
  ) => {
    const story = new Story();
    for (const each of attempts) await story.attempt(each);
    return story.end(result).outcome;
  };

  test.each([
    [[200], {}, 'ok'],
    [[404], { status: 404 }, 'ok'],
    [[503, 200], {}, 'rescued'],
    [['connection_refused', 404], { status: 404 }, 'rescued'],
    [[503], { status: 503 }, 'upstream_error'],
    [[429, 429], { status: 429 }, 'upstream_error'],
    [['connection_refused'], { status: 502, origin: 'proxy', error: 'connection_refused' }, 'failed'],
    [[200], { error: 'response_incomplete' }, 'failed'],
    [[], { status: 503, origin: 'proxy', error: 'breaker_open' }, 'rejected'],
    [[], { status: 404, origin: 'proxy', error: 'route_not_found' }, 'rejected'],
    [[], { status: 503, origin: 'proxy', error: 'draining' }, 'rejected'],
    [[503], { status: 503, origin: 'proxy', error: 'draining' }, 'failed'],
    [[503], { status: 0, origin: 'proxy', error: 'client_gone' }, 'client_gone'],
    [[200], { error: 'client_gone' }, 'client_gone'],
    [[], { status: 500, origin: 'proxy', error: 'bug' }, 'bug'],
  ] as const)('attempts %j with the result %j: %s', async (attempts, result, outcome) => {
    expect(await ended([...attempts], result)).toBe(outcome);
  });

  test('a reply that the retry policy called a failure is one, whatever its status', async () => {
    const story = await new Story().attempt(408);
    story.record.note('retry_denied', 'not_idempotent');
    expect(story.end({ status: 408 }).outcome).toBe('upstream_error');
    expect(story.record.notes.gave_up).toBe('not_idempotent');
  });

  test('only the first end counts, and is reported once', async () => {
    const observer = new RecordingObserver();
    const story = await new Story(observer).attempt(200);
    story.end();
    story.end({ error: 'client_gone' });
    expect(observer.ended).toHaveLength(1);
    expect(story.record.outcome).toBe('ok');
  });
});

describe('other recorded values', () => {
  test('refusals that count, not those of a shadow', () => {
    const { record } = new Story();
    record.note('shadow_rejected', 'breaker_open');
    expect(record.notes.rejected).toBeUndefined();
    record.note('rejected', 'concurrency_limit');
    expect(record.notes.rejected).toBe('concurrency_limit');
  });

  test('the reason of a refusal without an event', () => {
    expect(new Story().end({ status: 404, origin: 'proxy', error: 'route_not_found' }).notes.rejected).toBe(
      'route_not_found',
    );
  });

  test('all waits in the queue, and why the body was not buffered', () => {
    const { record } = new Story();
    record.note('queued', 30);
    record.note('queued', 12);
    record.note('body_not_buffered', 'memory');
    expect(record.notes).toEqual({ queued_ms: 42, body_not_buffered: 'memory' });
  });

  test('the whole duration, and the time to the head apart from it', async () => {
    const story = await new Story().attempt(200, 20);
    await story.clock.advance(60_000);
    const record = story.end();
    expect([record.ms, record.headMs]).toEqual([60_020, 20]);
  });
});

describe('notable', () => {
  const SLOW_MS = 1000;
  const after = async (ms: number, result?: Parameters<Story['end']>[0]) =>
    notable((await new Story().attempt(200, ms)).end(result), SLOW_MS);

  test('an ordinary call is not; nor is a long stream whose head was fast', async () => {
    expect(await after(10)).toBe(false);
    const stream = await new Story().attempt(200, 10);
    await stream.clock.advance(3_600_000);
    expect(notable(stream.end(), SLOW_MS)).toBe(false);
  });

  test('a slow head is, from the limit on', async () => {
    expect(await after(999)).toBe(false);
    expect(await after(1000)).toBe(true);
  });

  test('a retry, a refusal and a failure are', async () => {
    expect(notable((await rescuedStory()).end(), SLOW_MS)).toBe(true);
    expect(notable(new Story().end({ status: 503, origin: 'proxy', error: 'breaker_open' }), SLOW_MS)).toBe(
      true,
    );
    expect(notable((await new Story().attempt(503)).end({ status: 503 }), SLOW_MS)).toBe(true);
  });

  test('a retry is even where the reply is an ordinary 404', async () => {
    const story = await new Story().attempt('connection_refused');
    await story.attempt(404);
    expect(notable(story.end({ status: 404 }), SLOW_MS)).toBe(true);
  });

  test('a client that left is only when the upstream was bothered', async () => {
    expect(notable(new Story().end({ status: 0, error: 'client_gone' }), SLOW_MS)).toBe(false);
    expect(await after(10, { error: 'client_gone' })).toBe(true);
  });
});

test('combine informs every observer of what it listens to', async () => {
  const observer = new RecordingObserver();
  const attempts: number[] = [];
  const combined = combine(observer, { attemptStarted: ({ n }) => attempts.push(n) }, {});
  const story = await new Story(combined).attempt(200);
  story.end();
  combined.stateChanged('demo', { type: 'breaker_stale_result', scope: 'demo' });
  expect(attempts).toEqual([1]);
  expect([observer.events.length, observer.ended.length, observer.states.length]).toEqual([2, 1, 1]);
});
