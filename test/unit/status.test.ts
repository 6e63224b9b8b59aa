import { expect, test } from 'vitest';
import {
  isAnswered,
  isFailing,
  isSettled,
  isTooMuch,
  isUnwell,
  type StatusClass,
  statusClass,
  statusSet,
} from '../../src/http/status.ts';
import { classify } from '../../src/policies/retry/classify.ts';

const ERROR_STATUSES = Array.from({ length: 200 }, (_, i) => 400 + i);

/** Statuses defined by RFC 9110, RFC 6585 and gateways; all others count as 400 or 500. */
const LISTED: Readonly<Record<number, StatusClass>> = {
  401: 'refused',
  403: 'refused',
  408: 'later',
  409: 'refused',
  421: 'refused',
  425: 'later',
  429: 'too_many',
  501: 'unsupported',
  502: 'gateway',
  503: 'overloaded',
  504: 'gateway',
  505: 'unsupported',
  506: 'unsupported',
  510: 'unsupported',
  511: 'unsupported',
  529: 'overloaded',
  530: 'gateway',
  598: 'gateway',
  599: 'gateway',
  ...Object.fromEntries([520, 521, 522, 523, 524, 525, 526, 527].map((status) => [status, 'gateway'])),
};
const expected = (status: number): StatusClass => LISTED[status] ?? (status < 500 ? 'wrong' : 'internal');
const statuses = (trait: (status: number) => boolean): number[] => ERROR_STATUSES.filter(trait);

test('each status from 400 to 599 has its class, an unknown one that of 400 or 500', () => {
  expect(ERROR_STATUSES.map(statusClass)).toEqual(ERROR_STATUSES.map(expected));
});

test.each([100, 200, 204, 304, 399])('%i is a success', (status) =>
  expect(statusClass(status)).toBe('success'),
);

test.each([600, 999])('%i, which HTTP does not know, is a failure of the server', (status) =>
  expect(statusClass(status)).toBe('internal'),
);

test('an unhealthy server: every 5xx except those for unsupported requests', () => {
  const unsupported = [501, 505, 506, 510, 511];
  expect(statuses(isUnwell)).toEqual(
    ERROR_STATUSES.filter((status) => status >= 500 && !unsupported.includes(status)),
  );
  expect([...statusSet(['5xx'])]).toEqual(statuses(isUnwell));
  expect(statuses(isFailing)).toEqual([429, ...ERROR_STATUSES.filter((status) => status >= 500)]);
});

test('statuses that are answers, final decisions, and signs of overload', () => {
  const not = (...ones: number[]) =>
    ERROR_STATUSES.filter((status) => status < 500 && !ones.includes(status));
  expect(statuses(isAnswered)).toEqual(not(408, 425, 429));
  expect(statuses(isSettled)).toEqual(not(401, 403, 408, 409, 421, 425, 429));
  expect(statuses(isTooMuch)).toEqual([429, 503, 529]);
});

test('a list has its own statuses, and 5xx means all transient ones', () => {
  expect([...statusSet([404, 501])]).toEqual([404, 501]);
  expect(statusSet([408, '5xx', 503]).size).toBe(1 + statuses(isUnwell).length);
  expect([...statusSet([])]).toEqual([]);
});

test('at the defaults each 5xx is retried as its class says, for each method', () => {
  const options = {
    statuses: statusSet([408, 425, 429, '5xx']),
    notProcessed: new Set<number>(),
    grpcStatuses: new Set<never>(),
    vetoHeaders: [],
  };
  const retried = (status: number, method: string, idempotencyKey?: string) =>
    classify({ kind: 'reply', reply: { status, headers: [] } }, { method, idempotencyKey }, options, 1)
      .retry === 'yes';
  const byMethod = (status: number) =>
    status === 421 || ['later', 'too_many', 'gateway', 'overloaded'].includes(statusClass(status));
  const read = (status: number) => byMethod(status) || statusClass(status) === 'internal';
  expect(statuses((status) => retried(status, 'GET'))).toEqual(statuses(read));
  expect(statuses((status) => retried(status, 'PUT'))).toEqual(statuses(byMethod));
  expect(statuses((status) => retried(status, 'POST', 'k'))).toEqual(statuses(byMethod));
  expect(statuses((status) => retried(status, 'POST'))).toEqual([421]);
});
