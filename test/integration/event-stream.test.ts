import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/runtime/clock.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Origin, ok, startOrigin, type Step } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

const SSE = { 'Content-Type': 'text/event-stream' };
const FIRST = 'event: start\ndata: {"n":1}\n\n';
const GOOD = `${FIRST}: note\n\ndata: {"n":2}\r\n\r\nevent: end\ndata: {}\n\n`;
const OVERLOADED = 'event: error\ndata: {"error":{"type":"overloaded_error"}}\n\n';
const UNKNOWN_ERROR = 'event: error\ndata: {}\n\n';
const PING = 'event: ping\ndata: {}\n\n';

const STREAM = `
    stream:
      first_event: 5s
      event_gap: 8s
      ignore: [ping]
      error:
        - { name: overloaded, event: error, body: { /error/type: overloaded_error }, status: 529, means: not_processed }
        - { event: error, status: 503 }
      done: [{ event: end }]
      hold: 1KiB
`;

const good = ok(GOOD, SSE);

/** Writes the head and `text`, and leaves the stream open. */
function open(text = ''): Step {
  return ({ response }) => {
    response.writeHead(200, SSE);
    response.flushHeaders();
    if (text !== '') response.write(text);
  };
}

/** Writes the head and `text`, and resets the connection. */
function torn(text: string): Step {
  return ({ response, request }) => {
    response.writeHead(200, SSE);
    response.write(text, () => request.socket.resetAndDestroy());
  };
}

interface World {
  readonly origin: Origin;
  readonly proxy: Breakwater;
  readonly call: (init?: RequestInit) => Promise<Response>;
}

async function start(steps: readonly Step[], more = '', clock: Clock = systemClock): Promise<World> {
  const origin = await startOrigin(...steps);
  const yaml = `${apiConfig(origin, STREAM + more)}\nlog: { requests: all }\n`;
  const proxy = await startBreakwater(yaml, { clock });
  return { origin, proxy, call: (init) => fetch(`${proxy.url}/api/v1`, init) };
}

/** Lets the next `ms` milliseconds of silence pass. */
async function silence(clock: FakeClock, ms: number): Promise<void> {
  await clock.untilWaiting('stream-body.ts', ms);
  await clock.advance(ms);
}

const POST = { method: 'POST', body: '{}' };

describe('before the first event', () => {
  const failures: readonly (readonly [string, Step, string])[] = [
    ['an error event', ok(OVERLOADED, SSE), 'status_529'],
    ['an error event after comments and pings', ok(`: a\n\n${PING}${UNKNOWN_ERROR}`, SSE), 'status_503'],
    ['a clean end', ok('', SSE), 'response_incomplete'],
    ['comments and a clean end', ok(': a\n\n: b\n\n', SSE), 'response_incomplete'],
    ['pings and a clean end', ok(PING, SSE), 'response_incomplete'],
    ['half an event and a clean end', ok('data: 1\n', SSE), 'response_incomplete'],
    ['a reset', torn(': a\n\n'), 'connection_terminated'],
  ];

  test.each(failures)('%s is a failed attempt: the client sees one good stream', async (_, bad, reason) => {
    const { proxy, call } = await start([bad, good]);
    const reply = await call();
    expect(reply.status).toBe(200);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
    expect(await reply.text()).toBe(GOOD);
    const [record] = await proxy.untilEnded(1);
    expect(record?.entries[1]?.reason).toBe(reason);
    expect(record).toMatchObject({ outcome: 'rescued', notes: { stream: 'complete', events: 3 } });
  });

  test.each([
    ['nothing', open()],
    ['only comments', open(': a\n\n: b\n\n')],
    ['only pings', open(PING)],
  ])('%s for the allowed time is a failed attempt', async (_, bad) => {
    const clock = new FakeClock();
    const { origin, proxy, call } = await start([bad, good], '', clock);
    const replying = call();
    await silence(clock, 5_000);
    const reply = await replying;
    expect(await reply.text()).toBe(GOOD);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
    const [record] = await proxy.untilEnded(1);
    expect(record?.entries[0]).toMatchObject({ error: 'first_event_timeout', ms: 5_000 });
    await origin.until(({ requests }) => requests[0]?.closed === true);
  });

  test('each attempt is counted once, by its result', async () => {
    const { proxy, call } = await start([ok(OVERLOADED, SSE), ok('', SSE), good]);
    await (await call()).text();
    await proxy.untilEnded(1);
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    const counted = [...metrics.matchAll(/^breakwater_(attempts|streams)_total\{.*result="(\w+)"\} (\d+)/gm)];
    expect(counted.map(([, name, result, count]) => `${name} ${result} ${count}`).sort()).toEqual([
      'attempts 5xx 1',
      'attempts ok 1',
      'attempts response_incomplete 1',
      'streams broken 1',
      'streams complete 1',
      'streams error_event 1',
    ]);
    expect(metrics).toMatch(/^breakwater_stream_first_event_seconds_count\{.*\} 1$/m);
  });

  test('the fallback answers where no attempt is left', async () => {
    const { call } = await start(
      [ok(OVERLOADED, SSE)],
      `    retry: off\n    fallback: { reply: { status: 200, body: spare, headers: { x-spare: "1" } } }\n`,
    );
    const reply = await call();
    expect(await reply.text()).toBe('spare');
    expect(reply.headers.get('breakwater-attempts')).toBe('1');
  });

  test('the last error event passes as the upstream sent it', async () => {
    const { proxy, call } = await start([ok(OVERLOADED, SSE)], '    retry: { attempts: 2 }\n');
    const reply = await call();
    expect(reply.status).toBe(200);
    expect(await reply.text()).toBe(OVERLOADED);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
    expect(reply.headers.get('breakwater-gave-up')).toBe('attempts');
    expect(reply.headers.get('proxy-status')).toContain('received-status=200');
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({
      outcome: 'upstream_error',
      status: 529,
      notes: { stream: 'error_event' },
    });
    expect(record?.entries[1]).toMatchObject({ status: 529, detail: 'overloaded' });
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toMatch(/^breakwater_error_rule_matches_total\{.*="not_processed"\} 2$/m);
  });

  test('a POST is repeated only if the rule says that it was not processed', async () => {
    const repeated = await start([ok(OVERLOADED, SSE), good]);
    expect(await (await repeated.call(POST)).text()).toBe(GOOD);
    expect(repeated.origin.requests).toHaveLength(2);

    const passed = await start([ok(UNKNOWN_ERROR, SSE), good]);
    const reply = await passed.call(POST);
    expect(await reply.text()).toBe(UNKNOWN_ERROR);
    expect(reply.headers.get('breakwater-gave-up')).toBe('not_idempotent');
    expect(passed.origin.requests).toHaveLength(1);
  });

  test('a silent POST is answered once, with first_event_timeout', async () => {
    const clock = new FakeClock();
    const { origin, call } = await start([open(), good], '', clock);
    const replying = call(POST);
    await silence(clock, 5_000);
    const reply = await replying;
    expect(reply.status).toBe(504);
    expect(await reply.json()).toMatchObject({ code: 'first_event_timeout' });
    expect(reply.headers.get('breakwater-gave-up')).toBe('not_idempotent');
    expect(origin.requests).toHaveLength(1);
  });

  test('the head is held back, and released with all held bytes in one write', async () => {
    let more: (() => void) | undefined;
    const held: Step = ({ response }) => {
      response.writeHead(200, SSE).write(': a\n\n');
      more = () => void response.end(GOOD);
    };
    const { origin, proxy, call } = await start([held]);
    let answered = false;
    const replying = call().then((reply) => {
      answered = true;
      return reply;
    });
    await origin.untilRequests(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    more?.();
    expect(await (await replying).text()).toBe(`: a\n\n${GOOD}`);
    await proxy.untilEnded(1);
  });

  test('more bytes than may be held pass without an event', async () => {
    const comment = `: ${'x'.repeat(2_000)}\n\n`;
    const { proxy, call } = await start([open(comment)]);
    const leave = new AbortController();
    const reply = await call({ signal: leave.signal });
    const { value } = (await reply.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe(comment);
    leave.abort();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { stream: 'client_gone' } });
  });

  test('an event larger than all bounds is an event, and passes unchanged', async () => {
    const large = `data: ${'x'.repeat(300 * 1024)}\n\nevent: end\ndata: {}\n\n`;
    const { proxy, call } = await start([ok(large, SSE)]);
    expect(await (await call()).text()).toBe(large);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { stream: 'complete', events: 2 } });
  });

  test('a compressed stream is read, and passes as it is', async () => {
    const headers = { ...SSE, 'Content-Encoding': 'gzip' };
    const { proxy, call } = await start([ok(gzipSync(OVERLOADED), headers), ok(gzipSync(GOOD), headers)]);
    const reply = await call();
    expect(await reply.text()).toBe(GOOD);
    expect(reply.headers.get('breakwater-attempts')).toBe('2');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { stream: 'complete', events: 3 } });
  });

  test('bytes that are not of their coding pass unchanged', async () => {
    const { proxy, call } = await start([ok('not gzip', { ...SSE, 'Content-Encoding': 'gzip' })]);
    await call({ headers: { 'Accept-Encoding': 'gzip' } })
      .then((reply) => reply.text())
      .catch(() => '');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ attempts: 1, notes: { stream: 'incomplete' } });
  });
});

describe('after the first event', () => {
  /** The reply of node:http, whose body may break. */
  async function reply(proxy: Breakwater): Promise<IncomingMessage> {
    const [response] = (await once(get(`${proxy.url}/api/v1`), 'response')) as [IncomingMessage];
    return response;
  }

  async function whole(response: IncomingMessage): Promise<{ text: string; broken: boolean }> {
    let text = '';
    try {
      for await (const chunk of response) text += String(chunk);
      return { text, broken: false };
    } catch {
      return { text, broken: true };
    }
  }

  test('an error event passes, and the call counts as failed', async () => {
    const { proxy, call } = await start([ok(`${FIRST}${OVERLOADED}`, SSE)]);
    const answer = await call();
    expect(await answer.text()).toBe(`${FIRST}${OVERLOADED}`);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({
      outcome: 'upstream_error',
      status: 200,
      notes: { stream: 'error_event', stream_error: 'overloaded', events: 2 },
    });
  });

  test('a silence breaks the connection of the client', async () => {
    const clock = new FakeClock();
    const { origin, proxy } = await start([open(FIRST)], '', clock);
    const response = await reply(proxy);
    const body = whole(response);
    await silence(clock, 8_000);
    expect(await body).toEqual({ text: FIRST, broken: true });
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({
      outcome: 'failed',
      error: 'idle_timeout',
      notes: { stream: 'stalled', longest_gap_ms: 8_000 },
    });
    await origin.until(({ requests }) => requests[0]?.closed === true);
  });

  test('a reset breaks the connection of the client', async () => {
    const { proxy } = await start([torn(FIRST)]);
    expect(await whole(await reply(proxy))).toEqual({ text: FIRST, broken: true });
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'failed', notes: { stream: 'broken' } });
  });

  test('an end without the event that ends a stream is incomplete', async () => {
    const { proxy, call } = await start([ok(FIRST, SSE)]);
    expect(await (await call()).text()).toBe(FIRST);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'ok', notes: { stream: 'incomplete' } });
  });

  test('a client that leaves at the event that ends a stream has seen a complete one', async () => {
    const { origin, proxy } = await start([open(GOOD)]);
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/v1 HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.untilText('event: end\ndata: {}\n\n');
    client.abort();
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ notes: { stream: 'complete', events: 3 } });
  });

  test('a client that leaves ends the stream of the upstream', async () => {
    const { origin, proxy, call } = await start([open(FIRST)]);
    const leave = new AbortController();
    await call({ signal: leave.signal });
    leave.abort();
    await origin.until(({ requests }) => requests[0]?.closed === true);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'client_gone', notes: { stream: 'client_gone', events: 1 } });
  });
});

describe('other replies', () => {
  test.each([
    ['JSON', ok('{"error":{"type":"overloaded_error"}}', { 'Content-Type': 'application/json' }), 200],
    ['no content', ({ response }) => void response.writeHead(204, SSE).end(), 204],
    ['an error with a stream', ({ response }) => void response.writeHead(400, SSE).end(OVERLOADED), 400],
  ] satisfies readonly (readonly [string, Step, number])[])(
    '%s passes unchanged',
    async (_, step, status) => {
      const { proxy, call } = await start([step]);
      const reply = await call();
      expect(reply.status).toBe(status);
      await reply.text();
      const [record] = await proxy.untilEnded(1);
      expect(record).toMatchObject({ attempts: 1 });
      expect(record?.notes.stream).toBeUndefined();
    },
  );

  test('a HEAD is answered by its head', async () => {
    const { proxy, call } = await start([({ response }) => void response.writeHead(200, SSE).end()]);
    expect((await call({ method: 'HEAD' })).status).toBe(200);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ attempts: 1, outcome: 'ok' });
  });
});
