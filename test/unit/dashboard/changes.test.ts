import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  allowedChanges,
  changeAll,
  changeBreaker,
  changeOne,
  changeRoute,
  changeSchedule,
} from '../../../src/admin/dashboard/changes.js';
import { curlOf, quoted } from '../../../src/admin/dashboard/curl.js';
import { DEFAULTS } from '../../../src/admin/dashboard/filters.js';
import type { Monitor } from '../../../src/admin/dashboard/types.d.ts';

const one = (status: Monitor['status'], id = 'req_1') =>
  ({ id, status, request: { method: 'POST', path: '/charges' } }) as Monitor;
const P = '/_breakwater';

describe('one request', () => {
  test.each([
    ['waiting', ['retry', 'cancel', 'delete']],
    ['queued', ['retry', 'cancel', 'delete']],
    ['running', ['cancel', 'delete']],
    ['failed', ['retry', 'delete']],
    ['cancelled', ['retry', 'delete']],
    ['succeeded', ['retry', 'delete']],
  ] as const)('%s: %j', (status, what) =>
    expect(allowedChanges({ status, erased: undefined })).toEqual(what),
  );

  test('an erased request cannot be changed', () =>
    expect(allowedChanges({ status: 'failed', erased: true })).toEqual([]));

  test('each change as a call', () => {
    const call = (...args: Parameters<typeof changeOne>) => {
      const { method, path, verb } = changeOne(...args);
      return `${verb}: ${method} ${path}`;
    };
    expect(call('retry', one('waiting'), P)).toBe('Run now: POST /_breakwater/requests/req_1/retry');
    expect(call('retry', one('failed'), P)).toBe('Replay: POST /_breakwater/requests/req_1/retry');
    expect(call('cancel', one('waiting'), P)).toBe('Cancel: POST /_breakwater/requests/req_1/cancel');
    expect(call('delete', one('failed'), P)).toBe('Delete: DELETE /_breakwater/requests/req_1');
  });

  test('sending a success again is described, marked and forced', () => {
    const change = changeOne('retry', one('succeeded'), P);
    expect(change).toMatchObject({ path: '/_breakwater/requests/req_1/retry?force=true', danger: true });
    expect(change.description).toContain('has succeeded');
    expect(changeOne('retry', one('failed'), P).path).not.toContain('force');
  });

  test('cancelling a running request warns of the unknown outcome', () => {
    expect(changeOne('cancel', one('running'), P).description).toContain('may already have processed it');
    expect(changeOne('cancel', one('waiting'), P).description).not.toContain('may already have processed it');
  });
});

test('external names stay one segment of the path', () => {
  expect(changeOne('delete', one('failed', '../routes/x?y#z'), P).path).toBe(
    '/_breakwater/requests/..%2Froutes%2Fx%3Fy%23z',
  );
  expect(changeRoute({ name: 'a/b c', paused: false }, P).path).toBe('/_breakwater/routes/a%2Fb%20c/pause');
  expect(changeSchedule('run', 'x/y', P).path).toBe('/_breakwater/schedules/x%2Fy/run');
  expect(changeBreaker('a b', 'open')).toMatchObject({
    path: '/api/upstreams/a%20b/breaker',
    body: { force: 'open' },
  });
});

test('a paused route is resumed', () =>
  expect(changeRoute({ name: 'a', paused: true }, P)).toMatchObject({
    path: '/_breakwater/routes/a/resume',
    verb: 'Resume',
  }));

test('bulk changes use the filter of the list, without its order and limit', () => {
  const filters = { ...DEFAULTS, status: ['failed'], label: 'eu', limit: 500, id: 'req_1' };
  const change = changeAll('retry', filters, { prefix: P, now: 0, matches: undefined });
  expect(change).toMatchObject({ method: 'POST', danger: true });
  expect(change.path).toBe('/_breakwater/requests/retry?status=failed&label=eu&limit=10000');
  expect(changeAll('cancel', filters, { prefix: P, now: 0, matches: 1_200 }).description).toContain(
    '1\u202f200',
  );
});

describe('as curl', () => {
  test('a shell reads every quoted text unchanged', () => {
    const texts = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(texts, (text) => {
        // A terminal cannot be given a lone surrogate.
        const given = text.toWellFormed();
        const read = execFileSync('/bin/sh', ['-c', `printf %s ${quoted(given)}`], { encoding: 'utf8' });
        expect(read).toBe(given);
      }),
      {
        numRuns: 60,
        examples: [["'"], ["';rm -rf /;'"], ['$(id)'], ['`id`'], ['\\'], ['\n'], ['-n'], ['!x']],
      },
    );
  });

  test('contains the call; the token comes from the environment', () => {
    const url = 'http://127.0.0.1:8081/api/upstreams/x/breaker';
    expect(curlOf(changeBreaker('x', 'open'), { url, token: true })).toBe(
      `curl -X POST ${url} -H "Authorization: Bearer $BREAKWATER_ADMIN_TOKEN" -H 'content-type: application/json' -d '{"force":"open"}'`,
    );
    expect(curlOf(changeOne('delete', one('failed'), P), { url: 'http://h/a?b=c&d', token: false })).toBe(
      "curl -X DELETE 'http://h/a?b=c&d'",
    );
  });
});
