import { expect, test } from 'vitest';
import { Abort } from '../../src/runtime/abort.ts';

const REASON = new Error('enough');

test('the first reason wins, and each listener is called once', () => {
  const signal = new Abort();
  const heard: unknown[] = [];
  signal.on(() => heard.push(signal.reason));
  signal.on({ onAbort: () => heard.push('object') });
  signal.abort(REASON);
  signal.abort(new Error('later'));
  expect([heard, signal.reason, signal.listenerCount]).toEqual([[REASON, 'object'], REASON, 0]);
});

test('a listener that was removed is not called, whether it was the first or a later one', () => {
  const signal = new Abort();
  const heard: string[] = [];
  const listeners = ['a', 'b', 'c', 'd'].map((name) => () => void heard.push(name));
  for (const listener of listeners) signal.on(listener);
  for (const at of [0, 2]) signal.off(listeners[at] as () => void);
  signal.off(() => undefined);
  expect(signal.listenerCount).toBe(2);
  signal.abort(REASON);
  expect(heard).toEqual(['b', 'd']);
});

test('a child has the reason of its parent, and its listeners are called', () => {
  const parent = new Abort();
  const child = new Abort(parent);
  const heard: string[] = [];
  child.on(() => heard.push('child'));
  parent.abort(REASON);
  expect([heard, child.aborted, child.reason]).toEqual([['child'], true, REASON]);
  expect(new Abort(parent).reason).toBe(REASON);
});

test('a child that aborts leaves its parent alone, and keeps its own reason', () => {
  const parent = new Abort();
  const child = new Abort(parent);
  child.on(() => undefined);
  child.abort(REASON);
  expect([parent.aborted, parent.listenerCount]).toEqual([false, 0]);
  parent.abort(new Error('later'));
  expect(child.reason).toBe(REASON);
});

test('a child listens to its parent only while somebody listens to it', () => {
  const parent = new Abort();
  const child = new Abort(parent);
  const listeners = [() => undefined, () => undefined];
  const counts = [parent.listenerCount];
  for (const listener of listeners) {
    child.on(listener);
    counts.push(parent.listenerCount);
  }
  for (const listener of listeners) {
    child.off(listener);
    counts.push(parent.listenerCount);
  }
  expect(counts).toEqual([0, 1, 1, 1, 0]);
});
