import { expect, test } from 'vitest';
import type { OperatorEvent } from '../../src/telemetry/operator-events/event.ts';
import { Outbox } from '../../src/telemetry/operator-events/outbox.ts';

const MINUTE = 60_000;

function event(summary: string, key = 'breaker api'): OperatorEvent {
  return { type: 'breaker.opened', key, summary, details: {} };
}

function outbox() {
  let id = 0;
  return new Outbox(() => `evt_${++id}`);
}

/** Delivers what is due until `until`, and returns when and what. */
function delivered(box: Outbox, until: number) {
  const sent: [at: number, summary: string, changes: number][] = [];
  for (let at = box.nextAt(); at <= until; at = box.nextAt()) {
    const message = box.next(at);
    if (message === undefined) throw new Error(`nothing is due at ${at}`);
    sent.push([at, message.event.summary, message.changes]);
    box.done(message, at);
  }
  return sent;
}

test('the first event of a key is sent at once, and events of other keys do not wait for it', () => {
  const box = outbox();
  expect(box.nextAt()).toBe(Number.POSITIVE_INFINITY);
  expect(box.add(event('opened'), 5, 0)).toBe('added');
  expect(box.add(event('used up', 'quota api'), 5, 0)).toBe('added');
  expect(box.next(5)?.event.summary).toBe('opened');
  box.done(box.next(5) ?? fail(), 5);
  expect(box.next(5)?.event.summary).toBe('used up');
});

test('changes within a minute become one message, with the latest state and their number', () => {
  const box = outbox();
  box.add(event('opened'), 0, 0);
  box.done(box.next(0) ?? fail(), 0);
  expect(box.add(event('closed'), 10_000, 0)).toBe('added');
  expect(box.add(event('opened'), 20_000, 0)).toBe('merged');
  expect(box.add(event('closed'), 30_000, 0)).toBe('merged');
  expect(delivered(box, 10 * MINUTE)).toEqual([[MINUTE, 'closed', 3]]);
});

test('a breaker that flaps for an hour is no flood', () => {
  const box = outbox();
  const sent: unknown[] = [];
  for (let now = 0; now < 60 * MINUTE; now += 5_000) {
    sent.push(...delivered(box, now));
    box.add(event('changed'), now, now);
  }
  // After 0, 1, 3, 7, 15, 25, 35, 45 and 55 minutes.
  expect(sent).toHaveLength(9);
});

test('after a quiet time, an event is news again', () => {
  const box = outbox();
  for (let now = 0; now < 20 * MINUTE; now += 5_000) {
    delivered(box, now);
    box.add(event('changed'), now, now);
  }
  delivered(box, 40 * MINUTE);
  const later = 60 * MINUTE;
  box.add(event('opened'), later, later);
  expect(box.nextAt()).toBeLessThanOrEqual(later);
});

test('a change during a delivery is another message, with another id', () => {
  const box = outbox();
  box.add(event('opened'), 0, 0);
  const first = box.next(0) ?? fail();
  box.add(event('closed'), 1, 1);
  box.done(first, 2);
  const second = box.next(MINUTE + 2);
  expect(second).toMatchObject({ event: { summary: 'closed' }, changes: 1 });
  expect(second?.id).not.toBe(first.id);
});

test('a failed delivery is tried again with the same id, after waits that grow to five minutes', () => {
  const box = outbox();
  box.add(event('opened'), 0, 0);
  const { id } = box.next(0) ?? fail();
  const waits: number[] = [];
  for (let now = 0, i = 0; i < 12; i++) {
    expect(box.next(now)?.id).toBe(id);
    box.failed(now, 1);
    waits.push(box.nextAt() - now);
    expect(box.next(box.nextAt() - 1)).toBeUndefined();
    now = box.nextAt();
  }
  expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
  expect(waits.at(-1)).toBe(5 * MINUTE);
});

test('the wait is at least as long as the receiver asks, up to five minutes', () => {
  const box = outbox();
  box.add(event('opened'), 0, 0);
  box.failed(0, 0, 30_000);
  expect(box.nextAt()).toBe(30_000);
  box.failed(30_000, 0, 24 * 60 * MINUTE);
  expect(box.nextAt()).toBe(30_000 + 5 * MINUTE);
});

test('the number of keys is bounded; idle ones make room', () => {
  const box = outbox();
  for (let i = 0; i < 1_000; i++) expect(box.add(event('x', `key ${i}`), 0, 0)).toBe('added');
  expect(box.add(event('x', 'one more'), 0, 0)).toBe('dropped');
  expect(delivered(box, 0)).toHaveLength(1_000);
  expect(box.add(event('x', 'one more'), MINUTE, 0)).toBe('dropped');
  expect(box.add(event('x', 'one more'), 11 * MINUTE, 0)).toBe('added');
});

function fail(): never {
  throw new Error('no message');
}
