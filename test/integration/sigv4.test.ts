import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Origin, ok, startOrigin, status } from '../support/origin.ts';
import { expectedAuthorization } from '../support/sigv4-check.ts';
import { startTidy } from '../support/tidy.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'hush/hush+secret-of-aws' };

const BEDROCK = { service: 'bedrock', region: 'eu-central-1' };

const auth = (service: string, { accessKeyId, secretAccessKey } = KEYS) =>
  `    auth: { sigv4: { service: ${service}, region: eu-central-1, access_key_id: ${accessKeyId}, secret_access_key: "${secretAccessKey}" } }\n`;

async function everything(proxy: Breakwater): Promise<string> {
  const pages = ['/metrics', '/api/state', '/api/config', '/api/calls'];
  const texts = pages.map(async (path) => (await fetch(proxy.adminUrl + path)).text());
  return JSON.stringify([proxy.logs, proxy.states, ...(await Promise.all(texts))]);
}

test('a retry five minutes later is signed again, over the same body', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(503, { 'retry-after': '300' }), ok());
  const lines = ['timeouts: { total: 15m }', 'retry: { retry_after: { max: 10m } }'];
  const proxy = await startTidy(
    `log: { requests: all }\n${apiConfig(origin, `${auth('bedrock')}${lines.map((line) => `    ${line}\n`).join('')}`)}`,
    { clock },
  );
  // An SDK without real keys signs too.
  const headers = { authorization: 'AWS4-HMAC-SHA256 Credential=x', 'x-amz-date': '20200101T000000Z' };
  const reply = fetch(`${proxy.url}/api/model/a%3A1/converse`, { method: 'PUT', body: '{"a":1}', headers });
  await clock.untilAsleep();
  await clock.advance(330_000);
  expect((await reply).status).toBe(200);
  const dates = origin.requests.map((request) => request.headers['x-amz-date'] as string);
  expect(dates[0]).toBe('20260101T000000Z');
  expect(dates[1] && dates[1] > '20260101T000500Z').toBe(true);
  for (const request of origin.requests)
    expect(request.headers.authorization).toBe(expectedAuthorization(request, request.body, BEDROCK, KEYS));
  const said = await everything(proxy);
  for (const secret of [KEYS.secretAccessKey, KEYS.accessKeyId]) expect(said).not.toContain(secret);
});

/** A proxy that gets its keys at the credential address of a container. `keyOf`: the id of the n-th keys. */
async function startInContainer(origin: Origin, clock: FakeClock, keyOf = (n: number) => `AKID${n}`) {
  let issued = 0;
  const issuer = createServer((request, response) => {
    if (request.headers.authorization !== 'token-of-the-pod') return void response.writeHead(403).end();
    issued++;
    const body = {
      AccessKeyId: keyOf(issued),
      SecretAccessKey: 'hush/hush+secret-of-aws',
      Token: `session-${issued}`,
      Expiration: new Date(clock.wallTime() + 3_600_000).toISOString(),
    };
    response.end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    issuer.closeAllConnections();
    await new Promise((resolve) => issuer.close(resolve));
  });
  const { port } = issuer.address() as AddressInfo;
  const proxy = await startTidy(
    apiConfig(
      origin,
      `    auth: { sigv4: { service: dynamodb, region: eu-central-1, credentials_url: "http://127.0.0.1:${port}/v1/credentials", credentials_token: token-of-the-pod } }\n`,
    ),
    { clock },
  );
  const post = () => fetch(`${proxy.url}/api/`, { method: 'POST', body: '{}' });
  return { proxy, post, issued: () => issued };
}

const EXPIRED = { 'x-amzn-errortype': 'ExpiredTokenException:' };

test.each([
  [403, {}],
  [400, EXPIRED],
])('refused keys of a container are renewed once, and the call is sent again: %i', async (code, headers) => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(code, headers), ok('stored'));
  const { post, proxy, issued } = await startInContainer(origin, clock);
  const reply = await post();
  expect([reply.status, reply.headers.get('breakwater-attempts'), issued()]).toEqual([200, '2', 2]);
  expect(origin.requests[1]?.headers.authorization).toContain('Credential=AKID2/');
  expect(proxy.ended[0]?.notes.auth).toBe('renewed');
});

test('a refusal stands if there are no other keys, and is asked about once in 30 s', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(403));
  const { post, issued } = await startInContainer(origin, clock, () => 'AKID1');
  expect([(await post()).status, (await post()).status]).toEqual([403, 403]);
  expect([origin.requests.length, issued()]).toEqual([2, 2]);
  await clock.advance(30_000);
  await post();
  expect([origin.requests.length, issued()]).toEqual([3, 3]);
});

test('an invalid request is no refusal of the keys', async () => {
  const origin = await startOrigin(status(400, { 'x-amzn-errortype': 'ValidationException:' }));
  const { post, issued } = await startInContainer(origin, new FakeClock());
  expect([(await post()).status, origin.requests.length, issued()]).toEqual([400, 1, 1]);
});

test('keys from the credential address of a container are renewed before they expire', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const { post, proxy, issued } = await startInContainer(origin, clock);
  await Promise.all([post(), post()]);
  await clock.advance(3_600_000);
  await post();
  expect(issued()).toBe(2);
  expect(origin.requests.map(({ headers }) => headers['x-amz-security-token'])).toEqual([
    'session-1',
    'session-1',
    'session-2',
  ]);
  expect(origin.requests.at(-1)?.headers.authorization).toContain('Credential=AKID2/');
  expect(await everything(proxy)).not.toContain('token-of-the-pod');
});
