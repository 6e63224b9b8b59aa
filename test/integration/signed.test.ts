import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, ok, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy, untilState } from '../support/tidy.ts';

const KEY = 'secret';
const BODY = '{"amount":100}';

/** SigV4 and similar schemes sign method, target, some fields as they are, and the body. */
const SIGNED = ['host', 'date', 'x-amz-date', 'content-type', 'x-custom'] as const;

function signature(method: string, target: string, field: (name: string) => string, body: string): string {
  const fields = SIGNED.map((name) => `${name}:${field(name)}`);
  const digest = createHash('sha256').update(body).digest('hex');
  return createHmac('sha256', KEY)
    .update([method, target, ...fields, digest].join('\n'))
    .digest('hex');
}

/** A PUT that is signed for what the upstream will see. */
function signedPut(target: string, host: string): string {
  const fields: Record<string, string> = {
    host,
    date: 'Thu, 01 Jan 2026 00:00:00 GMT',
    'x-amz-date': '20260101T000000Z',
    'content-type': 'application/json; charset=x',
    'x-custom': 'Two  spaces, "quoted"',
  };
  const signed = signature('PUT', target, (name) => fields[name] ?? '', BODY);
  return [
    `PUT /api${target} HTTP/1.1`,
    'Host: here',
    ...Object.entries(fields).flatMap(([name, value]) => (name === 'host' ? [] : [`${name}: ${value}`])),
    `Authorization: HMAC ${signed}`,
    `Content-Length: ${BODY.length}`,
    '',
    BODY,
  ].join('\r\n');
}

/** Answers 403 where the signature does not fit, as such APIs do, else what is given. */
const verifying =
  (code: number): Step =>
  async ({ request, response, body }: OriginExchange) => {
    const raw = (name: string) => {
      const at = request.rawHeaders.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
      return request.rawHeaders[at + 1] ?? '';
    };
    const fits = signature(request.method ?? '', request.url ?? '', raw, (await body()).toString());
    response.writeHead(raw('authorization') === `HMAC ${fits}` ? code : 403).end();
  };

const RETRIES =
  'retry: { attempts: 9, backoff: { kind: constant, base: 4s, overloaded_base: 4s, jitter: none } }';
const ONE_AT_A_TIME = 'concurrency: { mode: fixed, max: 1, wait: 30s }';
const settings = (...lines: string[]) => lines.map((line) => `    ${line}\n`).join('');

async function get(proxy: Breakwater) {
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
  return client;
}

/** Answers when the test says so. */
function held() {
  const exchanges: OriginExchange[] = [];
  const step: Step = (exchange) => void exchanges.push(exchange);
  return { step, answer: () => exchanges.forEach(({ response }) => response.end('at last')) };
}

const queued = (proxy: Breakwater) =>
  untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);

describe('signed calls', () => {
  test('keep their signature, on every attempt', async () => {
    const origin = await startOrigin(verifying(503), verifying(503), verifying(201));
    const proxy = await startTidy(apiConfig(origin, settings('signed: true')));
    const client = await connectRaw(proxy.port);
    await client.send(signedPut("/b/a%2Fb//c;d?x=1&y=%20'", new URL(origin.url).host));
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'breakwater-attempts')]).toEqual([201, '3']);
    const names = origin.requests.map(({ rawHeaders }) => rawHeaders.filter((_, i) => i % 2 === 0));
    const sent = ['date', 'x-amz-date', 'content-type', 'x-custom', 'Authorization', 'via'];
    // Fields of the proxy: the upstream's Host, those of the connection, Via. Nothing else.
    const framing = /^(host|connection|content-length)$/i;
    for (const own of names) expect(own.filter((name) => !framing.test(name))).toEqual(sent);
  });

  test('are not sent again when their signature may be too old, and the client may sign again', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503));
    const yaml = apiConfig(origin, settings('signed: { max_age: 10s }', 'timeouts: { total: 60s }', RETRIES));
    const proxy = await startTidy(yaml, { clock });
    const client = await get(proxy);
    for (let waits = 0; waits < 2; waits++) {
      await clock.untilAsleep();
      await clock.advance(4_000);
    }
    // The next attempt would leave after 12 s: it is not waited for.
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'breakwater-gave-up')]).toEqual([503, 'signature_age']);
    expect([origin.requests.length, clock.now()]).toEqual([3, 8_000]);
    expect(rawHeader(reply, 'x-should-retry')).toBeUndefined();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { gave_up: 'signature_age' } });
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/breakwater_retries_denied_total\{.*reason="signature_age"\} 1/);
  });

  test.each([
    ['during a backoff', 7_000, 1],
    ['and no backoff fits in the rest', 3_000, 2],
  ])('age while the process is stopped %s', async (_when, stoppedMs, sent) => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503));
    const yaml = apiConfig(origin, settings('signed: { max_age: 10s }', 'timeouts: { total: 60s }', RETRIES));
    const proxy = await startTidy(yaml, { clock });
    const client = await get(proxy);
    await clock.untilAsleep();
    clock.stoppedMs = stoppedMs;
    await clock.advance(4_000);
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'breakwater-gave-up')]).toEqual([503, 'signature_age']);
    expect(origin.requests.length).toBe(sent);
  });

  test('are not sent at all if they wait in a queue for longer', async () => {
    const clock = new FakeClock();
    const { step, answer } = held();
    const origin = await startOrigin(step, ok());
    const lines = ['timeouts: { attempt: 10m, total: 10m }', ONE_AT_A_TIME];
    const proxy = await startTidy(apiConfig(origin, settings('signed: { max_age: 10s }', ...lines)), {
      clock,
    });
    const first = await get(proxy);
    await origin.untilRequests(1);
    const second = await get(proxy);
    await queued(proxy);
    await clock.advance(10_000);
    answer();
    expect((await first.readReply()).status).toBe(200);
    const reply = await second.readReply();
    expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([503, 'signature_age']);
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('0');
    expect(origin.requests.length).toBe(1);
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/breakwater_rejected_total\{.*reason="signature_age"\} 1/);
    // Another one, with a new signature, is sent.
    expect((await (await get(proxy)).readReply()).status).toBe(200);
  });

  test('a retry that meets a queue ends with the reply before it', async () => {
    const clock = new FakeClock();
    const { step, answer } = held();
    const origin = await startOrigin(status(500, {}, 'first'), step);
    const lines = ['timeouts: { attempt: 10m, total: 10m }', RETRIES, ONE_AT_A_TIME];
    const proxy = await startTidy(apiConfig(origin, settings('signed: { max_age: 10s }', ...lines)), {
      clock,
    });
    const retried = await get(proxy);
    await clock.untilAsleep();
    const other = await get(proxy);
    await origin.untilRequests(2);
    await clock.advance(4_000);
    await queued(proxy);
    await clock.advance(6_000);
    answer();
    const reply = await retried.readReply();
    expect([reply.status, reply.body.toString(), rawHeader(reply, 'breakwater-gave-up')]).toEqual([
      500,
      'first',
      'signature_age',
    ]);
    expect((await other.readReply()).status).toBe(200);
    expect(origin.requests.length).toBe(2);
  });

  test('others wait and are retried for as long as before', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503), status(503), status(503), status(503), ok());
    const yaml = apiConfig(origin, settings('signed: off', 'timeouts: { total: 60s }', RETRIES));
    const proxy = await startTidy(yaml, { clock });
    const client = await get(proxy);
    for (let waits = 0; waits < 4; waits++) {
      await clock.untilAsleep();
      await clock.advance(4_000);
    }
    expect((await client.readReply()).status).toBe(200);
  });
});

describe('signed: in the configuration', () => {
  const loaded = (...lines: string[]) =>
    loadConfig(
      'config.yaml',
      {},
      () => `upstreams:\n  a:\n    url: https://a.example\n${settings(...lines)}`,
    );
  const problems = (...lines: string[]) => {
    const result = loaded(...lines);
    return result.ok ? [] : result.problems.map(formatProblem);
  };

  test.each([
    ['signed: true', 240_000],
    ['signed: { max_age: 90s }', 90_000],
    ['signed: off', undefined],
    ['signed: false', undefined],
    ['breaker: off', undefined],
  ])('%s', (line, maxAge) => {
    const result = loaded(line);
    expect(result.ok && result.config.upstreams[0]?.routes[0]?.settings.signedMaxAgeMs).toBe(maxAge);
  });

  test.each([
    ['headers: { set: { x-a: b } }', 'cannot be combined with headers'],
    ['headers: { remove: [cookie] }', 'cannot be combined with headers'],
    ['retry: { idempotency_key: inject }', 'cannot be combined with retry.idempotency_key: inject'],
    ['resume: true', 'write resume: off'],
    ['cache: 2m', 'write cache: off'],
    ['durable: on', 'write durable: off'],
  ])('refuses %s together with it', (line, message) => {
    expect(problems('signed: true', line)).toEqual([expect.stringMatching(/^config\.yaml:4:/)]);
    expect(problems('signed: true', line)[0]).toContain(message);
    expect(problems('signed: off', line)).toEqual([]);
  });

  test('an allow-list still refuses ways around it', () => {
    expect(problems('signed: true', 'allow: [ "GET /**" ]')).toEqual([]);
  });
});
