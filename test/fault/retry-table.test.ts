import { request } from 'undici';
import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { startOrigin, status } from '../support/origin.ts';
import { refusingOrigin, startRawOrigin } from '../support/raw-origin.ts';
import { resetAfterPartialHead, resetAfterRequest } from '../support/raw-steps.ts';

/** The table "which outcome may be retried", cell by cell, over real sockets: three attempts if it may be retried, else one. */
const COLUMNS = [
  { name: 'GET', method: 'GET', key: false },
  { name: 'HEAD', method: 'HEAD', key: false },
  { name: 'OPTIONS', method: 'OPTIONS', key: false },
  { name: 'TRACE', method: 'TRACE', key: false },
  { name: 'PUT', method: 'PUT', key: false },
  { name: 'DELETE', method: 'DELETE', key: false },
  { name: 'QUERY', method: 'QUERY', key: false },
  { name: 'POST', method: 'POST', key: false },
  { name: 'PATCH', method: 'PATCH', key: false },
  { name: 'POST with a key', method: 'POST', key: true },
  { name: 'PATCH with a key', method: 'PATCH', key: true },
] as const;

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'QUERY'];

type Column = (typeof COLUMNS)[number];

const repeatable = ({ method, key }: Column): boolean => key || IDEMPOTENT.includes(method);

async function call(proxy: Breakwater, { method, key }: Column) {
  const withBody = ['POST', 'PATCH', 'PUT', 'QUERY'].includes(method);
  const reply = await request(`${proxy.url}/api/x`, {
    method: method as 'GET',
    headers: key ? { 'idempotency-key': 'k-1' } : {},
    body: withBody ? 'payload' : null,
  });
  await reply.body.dump();
  const { 'breakwater-attempts': attempts, 'proxy-status': proxyStatus } = reply.headers;
  return { status: reply.statusCode, attempts: Number(attempts), proxyStatus: String(proxyStatus) };
}

const proxyFor = (origin: { url: string }) =>
  startBreakwater(apiConfig(origin, '    retry: { idempotency_key: pass }\n'));

describe.each(COLUMNS)('$name', (column) => {
  test('not sent (connection refused): retried', async () => {
    const proxy = await proxyFor(await refusingOrigin());
    const result = await call(proxy, column);
    expect(result).toMatchObject({ status: 502, attempts: 3 });
    expect(result.proxyStatus).toContain('error=connection_refused');
  });

  test('sent, no answer (reset after the request): by method or key', async () => {
    const origin = await startRawOrigin(resetAfterRequest());
    const result = await call(await proxyFor(origin), column);
    expect(origin.requests.length).toBe(repeatable(column) ? 3 : 1);
    expect(result).toMatchObject({ status: 502, attempts: origin.requests.length });
    expect(result.proxyStatus).toContain('error=connection_terminated');
  });

  test('sent, half a head: by method or key', async () => {
    const origin = await startRawOrigin(resetAfterPartialHead());
    await call(await proxyFor(origin), column);
    expect(origin.requests.length).toBe(repeatable(column) ? 3 : 1);
  });

  test.each([408, 425, 429, 502, 503, 504, 522, 529, 530])('answered %i: by method or key', async (code) => {
    const origin = await startOrigin(status(code));
    const result = await call(await proxyFor(origin), column);
    expect(origin.requests.length).toBe(repeatable(column) ? 3 : 1);
    expect(result).toMatchObject({ status: code, attempts: origin.requests.length });
  });

  test('answered 500: GET and HEAD only', async () => {
    const origin = await startOrigin(status(500));
    await call(await proxyFor(origin), column);
    expect(origin.requests.length).toBe(['GET', 'HEAD'].includes(column.method) ? 3 : 1);
  });

  test('answered 421: retried', async () => {
    const origin = await startOrigin(status(421));
    await call(await proxyFor(origin), column);
    expect(origin.requests.length).toBe(3);
  });

  test.each([200, 204, 301, 304, 400, 401, 403, 404, 409, 410, 422, 501])(
    'answered %i: never',
    async (code) => {
      const origin = await startOrigin(status(code));
      const result = await call(await proxyFor(origin), column);
      expect(origin.requests.length).toBe(1);
      expect(result).toMatchObject({ status: code, attempts: 1 });
    },
  );

  test('every attempt carries the same bytes and the same key', async () => {
    const origin = await startOrigin(status(503));
    await call(await proxyFor(origin), column);
    const first = origin.requests[0];
    for (const later of origin.requests) {
      expect(later.body).toEqual(first?.body);
      expect(later.rawHeaders).toEqual(first?.rawHeaders);
    }
  });
});

test('a key on a route that does not trust it changes nothing', async () => {
  const origin = await startRawOrigin(resetAfterRequest());
  const proxy = await startBreakwater(apiConfig(origin));
  expect(await call(proxy, { name: 'POST with a key', method: 'POST', key: true })).toMatchObject({
    status: 502,
    attempts: 1,
  });
  expect(origin.requests.length).toBe(1);
});

test('a POST is retried after a status that says that nothing was processed', async () => {
  const origin = await startOrigin(status(429), status(200));
  const proxy = await startBreakwater(apiConfig(origin, '    retry: { not_processed: [429] }\n'));
  expect(await call(proxy, { name: 'POST', method: 'POST', key: false })).toMatchObject({
    status: 200,
    attempts: 2,
  });
});

test('a conflict on the retry of a keyed call is retried later, because the first attempt is still running', async () => {
  const origin = await startOrigin(status(503), status(409), status(201));
  const result = await call(await proxyFor(origin), { name: 'POST with a key', method: 'POST', key: true });
  expect(result).toMatchObject({ status: 201, attempts: 3 });
});

test("the upstream's veto is obeyed, and its request to retry only within the method rule", async () => {
  const veto = await startOrigin(status(503, { 'x-should-retry': 'false' }));
  expect(await call(await proxyFor(veto), COLUMNS[0])).toMatchObject({ status: 503, attempts: 1 });
  const wish = await startOrigin(status(400, { 'x-should-retry': 'true' }), status(200));
  expect(await call(await proxyFor(wish), COLUMNS[0])).toMatchObject({ status: 200, attempts: 2 });
  const post = await startOrigin(status(400, { 'x-should-retry': 'true' }), status(200));
  expect(await call(await proxyFor(post), COLUMNS[7])).toMatchObject({ status: 400, attempts: 1 });
});
