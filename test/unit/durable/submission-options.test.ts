import { expect, test } from 'vitest';
import { submissionOptionsOf } from '../../../src/durable/submission-options.ts';

const rules = { now: 0, deadlineMs: 1_000, callbacks: { allow: [], allowPrivate: false } };

test.each([
  ['Breakwater-Deadline', 'must be a duration such as 3h or a time such as 2026-12-01T08:00:00Z'],
  ['Breakwater-Not-Before', 'must be a time such as 2026-12-01T08:00:00Z'],
  ['Breakwater-Delay', 'must be a duration such as 10m or 3d, at most 366d'],
])('an invalid %s gets an error with the valid forms', (name, message) => {
  expect(() => submissionOptionsOf([name, '3x'], rules)).toThrow(`${name} ${message}`);
});

test('a key with a control character is refused, because it separates callers', () => {
  expect(() => submissionOptionsOf(['Breakwater-Key', 'b\npay/charges\nkey'], rules)).toThrow(
    'no control character',
  );
  expect(submissionOptionsOf(['Breakwater-Key', 'schedule:refresh'], rules).orderKey).toBe(
    'schedule:refresh',
  );
});
