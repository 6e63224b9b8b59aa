import { expect, test, vi } from 'vitest';
import { RetainedState } from '../../src/app/retained-state.ts';

function load<T>(state: RetainedState, key: string, options: unknown, value: T): T {
  state.begin();
  const retained = state.retain(key, options, () => value);
  state.commit();
  return retained;
}

test('state is retained while its options are equal, replaced if they differ, and dropped if not requested', () => {
  const state = new RetainedState();
  expect(load(state, 'a', { x: [1] }, 'first')).toBe('first');
  expect(load(state, 'a', { x: [1] }, 'second')).toBe('first');
  expect(load(state, 'a', { x: [2] }, 'third')).toBe('third');
  expect(load(state, 'a', { x: [1] }, 'fourth')).toBe('fourth');
  expect(load(state, 'b', { x: [1] }, 'fifth')).toBe('fifth');
  expect(load(state, 'a', { x: [1] }, 'sixth')).toBe('sixth');
});

test('two requests for the same state in one reload share it', () => {
  const state = new RetainedState();
  const create = vi.fn<() => object>(() => ({}));
  state.begin();
  expect(state.retain('a', 1, create)).toBe(state.retain('a', 1, create));
  state.commit();
  expect(create).toHaveBeenCalledOnce();
});

test('a reload without commit changes nothing', () => {
  const state = new RetainedState();
  expect(load(state, 'a', 1, 'old')).toBe('old');
  state.begin();
  state.retain('a', 2, () => 'never committed');
  expect(load(state, 'a', 1, 'new')).toBe('old');
});
