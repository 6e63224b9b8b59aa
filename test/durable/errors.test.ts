import { expect, test } from 'vitest';
import { storeErrorOf } from '../../src/durable/store/postgres-errors.ts';
import { failureOf, losesDurability } from '../../src/durable/store/sqlite-errors.ts';

const IOERR_FSYNC = 1034;
const IOERR_READ = 266;
const CORRUPT_INDEX = 779;

test.each([
  [{ errcode: 5 }, 'locked', false],
  [{ errcode: 8 }, 'read_only', false],
  [{ errcode: 1032 }, 'read_only', false],
  [{ errcode: 11 }, 'corrupt', true],
  [{ errcode: CORRUPT_INDEX }, 'corrupt', true],
  [{ errcode: 26 }, 'corrupt', true],
  [{ errcode: 13 }, 'full', false],
  [{ errcode: IOERR_READ }, 'failed', false],
  [{ errcode: IOERR_FSYNC }, 'failed', true],
  [{ errcode: 1 }, 'failed', false],
  [{ errcode: 18 }, 'unwritable', false],
  [{ errcode: 2067 }, 'unwritable', false],
  [{ code: 'EROFS' }, 'read_only', false],
  [{ code: 'ENOENT' }, 'failed', false],
])('SQLite: %j is %s; the file is no longer safe: %s', (error, problem, ends) => {
  const failure = failureOf(Object.assign(new Error('what it says'), error), '/data/store.db');
  expect(failure).toMatchObject({ problem, message: expect.stringContaining('/data/store.db') as string });
  expect(failure.message).toContain('what it says');
  expect(losesDurability(error)).toBe(ends);
});

test.each([
  ['53100', 'full'],
  ['53300', 'unreachable'],
  ['25006', 'read_only'],
  ['57P01', 'unreachable'],
  ['57P03', 'unreachable'],
  ['08006', 'unreachable'],
  ['55P03', 'locked'],
  ['XX001', 'corrupt'],
  ['ECONNREFUSED', 'unreachable'],
  ['EAI_AGAIN', 'unreachable'],
  ['57014', 'failed'],
  ['28P01', 'failed'],
  ['42P01', 'failed'],
  ['23505', 'unwritable'],
  ['22021', 'unwritable'],
  ['54000', 'unwritable'],
])('PostgreSQL: %s is %s', (code, problem) => {
  const error = Object.assign(new Error('what it says'), { code });
  expect(storeErrorOf(error, 'postgres://db/x')).toMatchObject({
    problem,
    message: 'durable store postgres://db/x: what it says',
    cause: undefined,
  });
});

test('PostgreSQL: if all addresses refuse, it is unreachable', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  expect(storeErrorOf(new AggregateError([refused, refused]), 'x')).toMatchObject({ problem: 'unreachable' });
});
