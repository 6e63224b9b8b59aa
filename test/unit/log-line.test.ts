import { beforeEach, describe, expect, test } from 'vitest';
import { createLogger, type Logger } from '../../src/runtime/logger.ts';
import { callLine, callMessage, logCalls } from '../../src/telemetry/call-log.ts';
import type { Observer } from '../../src/telemetry/call-record.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { redact } from '../../src/telemetry/redact.ts';
import { RecordingObserver, rescuedStory, Story } from '../support/record.ts';

describe('message', () => {
  test('tells a rescue step by step', async () => {
    expect(callMessage((await rescuedStory()).end())).toBe(
      'GET demo/flaky 200 rescued on attempt 3: 503 → waited 412 ms → 503 → waited 1.3 s → 200',
    );
  });

  test('tells why there was no further attempt', async () => {
    const story = await new Story(new RecordingObserver(), { method: 'POST', target: '/charges' }).attempt(
      'connection_terminated',
    );
    story.record.note('retry_denied', 'not_idempotent');
    const record = story.end({ status: 502, origin: 'proxy', error: 'connection_terminated' });
    expect(callMessage(record)).toBe(
      'POST demo/charges 502 failed, gave up: not_idempotent, connection_terminated: connection_terminated',
    );
  });

  test('tells that a failing reply was passed on', async () => {
    const story = await new Story().attempt(503);
    await story.wait(10, 'status_503');
    await story.attempt(503);
    story.record.note('retry_denied', 'budget');
    expect(callMessage(story.end({ status: 503 }))).toBe(
      'GET demo/flaky 503 passed on after 2 attempts, gave up: budget: 503 → waited 10 ms → 503',
    );
  });

  test('tells how a stream failed', async () => {
    const story = await new Story().attempt(200);
    story.record.note('stream', 'stalled');
    story.record.note('events', 12);
    const record = story.end({ status: 200, origin: 'upstream', error: 'idle_timeout' });
    expect(callMessage(record)).toBe(
      'GET demo/flaky 200 failed, idle_timeout, stream stalled after 12 events: 200',
    );
    const good = await new Story().attempt(200);
    good.record.note('stream', 'complete');
    expect(callMessage(good.end())).not.toContain('stream');
  });

  test('tells a refusal, also where no route matched', () => {
    const refused = new Story().end({ status: 503, origin: 'proxy', error: 'breaker_open' });
    expect(callMessage(refused)).toBe('GET demo/flaky 503 rejected, breaker_open');
    const lost = new Story(new RecordingObserver(), { upstream: '', route: '' });
    expect(callMessage(lost.end({ status: 404, origin: 'proxy', error: 'route_not_found' }))).toBe(
      'GET /flaky 404 rejected, route_not_found',
    );
  });

  test('tells what a client that left was waiting for', async () => {
    const backoff = await new Story().attempt(503);
    await backoff.wait(2000, 'status_503', true);
    expect(callMessage(backoff.end({ status: 0, error: 'client_gone' }))).toBe(
      'GET demo/flaky client gone after 10 ms: 503 → a wait of 2.0 s, not finished',
    );
    const running = new Story();
    running.record.attemptStarted(1);
    expect(callMessage(running.end({ status: 0, error: 'client_gone' }))).toContain(': no answer');
  });

  test('says seconds from one second on', async () => {
    expect(callMessage((await new Story().attempt(200, 999)).end())).toContain('in 999 ms');
    expect(callMessage((await new Story().attempt(200, 999.6)).end())).toContain('in 1.0 s');
  });
});

describe('fields', () => {
  test('hold every attempt', async () => {
    const line: unknown = JSON.parse(JSON.stringify(callLine((await rescuedStory()).end())));
    expect(line).toEqual({
      id: 'c1',
      method: 'GET',
      path: '/flaky',
      upstream: 'demo',
      route: 'default',
      outcome: 'rescued',
      status: 200,
      origin: 'upstream',
      ms: 1737,
      head_ms: 1737,
      bytes_in: 0,
      bytes_out: 0,
      attempts: [
        { n: 1, at_ms: 0, ms: 10, status: 503 },
        { n: 2, at_ms: 422, ms: 10, status: 503, wait_ms: 412, reason: 'status_503' },
        { n: 3, at_ms: 1732, ms: 5, status: 200, wait_ms: 1300, reason: 'status_503' },
      ],
    });
  });

  test('hold a failed attempt by its code, and why it was given up', async () => {
    const story = await new Story().attempt('connection_refused');
    story.record.note('queued', 40);
    story.record.note('body_not_buffered', 'cap');
    story.record.note('retry_denied', 'body_not_replayable');
    const line = callLine(story.end({ status: 502, origin: 'proxy', error: 'connection_refused' }));
    expect(line).toMatchObject({
      gave_up: 'body_not_replayable',
      queued_ms: 40,
      body_not_buffered: 'cap',
      outcome: 'failed',
    });
    expect(line.attempts).toEqual([{ n: 1, at_ms: 0, ms: 10, error: 'connection_refused' }]);
  });

  test('hold the path byte for byte', () => {
    const { record } = new Story(new RecordingObserver(), { target: '/a%2Fb//c+d' });
    expect(callLine(record).path).toBe('/a%2Fb//c+d');
  });

  test('never hold the query', async () => {
    const record = (
      await new Story(new RecordingObserver(), { target: '/v1/x?api_key=hunter2' }).attempt(503)
    ).end({
      status: 503,
    });
    expect(callLine(record).path).toBe('/v1/x?…');
    expect(JSON.stringify(callLine(record)) + callMessage(record)).not.toContain('hunter2');
  });
});

describe('which calls are logged', () => {
  let lines: { level: string; msg: string }[];
  let logger: Logger;
  beforeEach(async () => {
    lines = [];
    logger = await createLogger({
      level: 'debug',
      redact,
      pretty: false,
      destination: { write: (line) => void lines.push(JSON.parse(line) as (typeof lines)[number]) },
    });
  });

  const played = async (requests: 'all' | 'notable' | 'none') => {
    const log = combine(logCalls(logger, { requests, slowMs: 1000 }));
    (await new Story(log).attempt(200)).end();
    (await rescuedStory(log)).end();
    (await new Story(log).attempt(503)).end({ status: 503 });
    new Story(log).end({ status: 500, origin: 'proxy', error: 'bug' });
    return lines.map(({ level }) => level);
  };

  test('all', async () => expect(await played('all')).toEqual(['info', 'info', 'warn', 'error']));
  test('notable', async () => expect(await played('notable')).toEqual(['info', 'warn', 'error']));
  test('none', async () => expect(await played('none')).toEqual([]));

  test('of refusals for the same reason one a second, with the number left out', async () => {
    const refusedAt = async (log: Observer, ms: number, error: 'breaker_open' | 'concurrency_limit') => {
      const story = new Story(log);
      await story.clock.advance(ms);
      story.end({ status: 503, origin: 'proxy', error });
    };
    const play = async (requests: 'all' | 'notable') => {
      const log = combine(logCalls(logger, { requests, slowMs: 1000 }));
      lines.length = 0;
      for (const ms of [0, 10, 990, 1000, 1500, 2100]) await refusedAt(log, ms, 'breaker_open');
      await refusedAt(log, 2100, 'concurrency_limit');
      return lines.map((line) => (line as { suppressed?: number }).suppressed);
    };
    expect(await play('notable')).toEqual([undefined, 2, 1, undefined]);
    expect(lines[1]?.msg).toContain('(and 2 more like it)');
    expect((await play('all')).length).toBe(7);
  });

  test('a breaker that opens warns, with its cause; a stale result is no news', () => {
    const { stateChanged } = logCalls(logger, { requests: 'none', slowMs: 1000 });
    stateChanged('demo', {
      type: 'breaker_changed',
      scope: 'demo',
      from: 'closed',
      to: 'open',
      cause: 'failure_rate',
    });
    stateChanged('demo', {
      type: 'breaker_changed',
      scope: 'slow',
      from: 'half_open',
      to: 'closed',
      cause: 'probes_succeeded',
    });
    stateChanged('demo', { type: 'breaker_stale_result', scope: 'demo' });
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'breaker of demo opened: failure rate'],
      ['info', 'breaker of demo (slow) closed: probes succeeded'],
    ]);
  });
});

describe('logger', () => {
  const written = async (fields: Record<string, unknown>, pretty = false, message = 'hello') => {
    let out = '';
    const logger = await createLogger({
      level: 'info',
      redact,
      pretty,
      destination: { write: (line) => void (out += line) },
    });
    logger.debug({}, 'below the level');
    logger.warn(fields, message);
    return out;
  };

  test('writes one JSON line with level, time and message', async () => {
    const out = await written({ upstream: 'demo' });
    expect(out.endsWith('\n')).toBe(true);
    const line = JSON.parse(out) as Record<string, unknown>;
    expect(line).toMatchObject({ level: 'warn', upstream: 'demo', msg: 'hello' });
    expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Object.keys(line).sort()).toEqual(['level', 'msg', 'time', 'upstream']);
  });

  test.each([
    'authorization',
    'Authorization',
    'proxy-authorization',
    'cookie',
    'Set-Cookie',
    'x-api-key',
    'api-key',
    'apiKey',
    'x-amz-security-token',
    'token',
    'client-secret',
    'client_secret',
    'password',
    'x-goog-api-key',
  ])('redacts the value of %s, wherever it stands', async (name) => {
    const secret = 'hunter2';
    const out = await written({
      [name]: secret,
      request: { headers: { [name]: secret } },
      reply: { headers: ['accept', '*/*', name, secret] },
      rules: { headers: [[name, secret]] },
      list: [{ [name]: secret }],
    });
    expect(out).not.toContain(secret);
    expect(out).toContain('*/*');
    expect(out).toContain('[redacted]');
  });

  test('redacts user and password in a URL, and leaves the rest', async () => {
    const out = await written({
      url: 'https://bob:hunter2@api.example/v1?x=1',
      tokens: 3,
      keyboard: 'qwerty',
    });
    expect(out).not.toContain('hunter2');
    expect(JSON.parse(out)).toMatchObject({
      url: 'https://[redacted]@api.example/v1?x=1',
      tokens: 3,
      keyboard: 'qwerty',
    });
  });

  test('writes an error with its cause, and survives a cycle', async () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    const error = Object.assign(new Error('outer', { cause: new TypeError('inner') }), { code: 'E1' });
    const line: unknown = JSON.parse(await written({ error, cycle }));
    expect(line).toMatchObject({
      error: { name: 'Error', message: 'outer', code: 'E1', cause: { name: 'TypeError', message: 'inner' } },
    });
  });

  test('for a terminal says it in one readable line, synchronously', async () => {
    const out = await written({ id: 'c1', attempts: [{ n: 1 }], error: 'connection_refused' }, true);
    expect(out.trim().split('\n')).toHaveLength(1);
    expect(out).toMatch(/WARN.*hello.*c1/);
    expect(out).not.toContain('attempts');
  });

  test('for a terminal shows an error with its stack', async () => {
    const out = await written({ error: new Error('boom') }, true);
    expect(out).toMatch(/Error: boom\n\s+at /);
  });

  test('for a terminal shows what it would obey as text, and keeps the lines of a stack alone', async () => {
    const odd = '\u001b[2J\u009b31m\u007f\u202eexe.\r\nWARN forged';
    const error = new Error('boom');
    error.stack = `Error: boom\n    at \u001b[31mhere\n    at there`;
    const out = await written({ id: odd, [odd]: 1, request: { list: [odd] }, error }, true, odd);
    // oxlint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    const shown = String.raw`\u001b[2J\u009b31m\u007f\u202eexe.\u000d\u000aWARN forged`;
    expect(out.split(shown)).toHaveLength(5);
    expect(out).not.toMatch(/^\s*WARN forged/m);
    expect(out).toMatch(/Error: boom\n\s+at \\u001b\[31mhere\n\s+at there/);
  });

  test('takes another level while it runs', async () => {
    const lines: string[] = [];
    const logger = await createLogger({
      level: 'warn',
      redact,
      pretty: false,
      destination: { write: (line) => void lines.push(line) },
    });
    logger.info({}, 'one');
    logger.setLevel('debug');
    logger.debug({}, 'two');
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['two']);
  });
});
