import { expect, test, vi } from 'vitest';
import { soon } from '../../src/runtime/soon.ts';
import { settled } from '../support/stub-call.ts';

const task = (seen: string[], name: string, then = () => {}) => ({
  onSoon() {
    seen.push(name);
    then();
  },
});

test('tasks run after the running code, in their order, with those that they add', async () => {
  const seen: string[] = [];
  soon(task(seen, 'a', () => soon(task(seen, 'c'))));
  soon(task(seen, 'b'));
  expect(seen).toEqual([]);
  await settled();
  expect(seen).toEqual(['a', 'b', 'c']);
  soon(task(seen, 'd'));
  await settled();
  expect(seen.at(-1)).toBe('d');
});

test('the error of a task is reported, and the other tasks run', async () => {
  const seen: string[] = [];
  const microtask = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation(() => {});
  const fails = () => {
    throw new Error('a bug');
  };
  soon(task(seen, 'a', fails));
  soon(task(seen, 'b'));
  expect(() => microtask.mock.calls[0]?.[0]()).toThrow('a bug');
  microtask.mock.calls[1]?.[0]();
  microtask.mockRestore();
  expect(seen).toEqual(['a', 'b']);
});
