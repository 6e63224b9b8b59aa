import { expect, test } from 'vitest';
import { atOnce, inSlices, type Steps } from '../../src/runtime/event-loop.ts';

function* counted(steps: number, taken: number[]): Steps<string> {
  for (let step = 1; step <= steps; step++) {
    taken.push(step);
    yield;
  }
  return 'done';
}

test('all steps at once', () => {
  const taken: number[] = [];
  expect(atOnce(counted(3, taken))).toBe('done');
  expect(taken).toEqual([1, 2, 3]);
});

test('in slices: other work runs between them', async () => {
  const taken: number[] = [];
  const seen: number[] = [];
  const all = inSlices(counted(7, taken), 3);
  while (taken.length < 7) {
    seen.push(taken.length);
    await new Promise((resolve) => void setImmediate(resolve));
  }
  expect(await all).toBe('done');
  expect(seen).toEqual([3, 6]);
});

test('an error of a step is the error of all', async () => {
  function* failing(): Steps<never> {
    yield;
    throw new Error('no');
  }
  expect(() => atOnce(failing())).toThrow('no');
  await expect(inSlices(failing(), 1)).rejects.toThrow('no');
});
