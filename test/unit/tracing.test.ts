import { expect, test } from 'vitest';
import { tracingSetup } from '../../src/app/tracing-setup.ts';
import { loadConfig } from '../../src/config/load.ts';
import { CallTrace } from '../../src/telemetry/tracing/call-trace.ts';
import { OtlpExport, type SpanCounts } from '../../src/telemetry/tracing/otlp.ts';
import { type SpanData, spansOf, targetOf } from '../../src/telemetry/tracing/spans.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, startOrigin } from '../support/origin.ts';
import { startCollector } from '../support/otlp.ts';
import { RecordingObserver, Story } from '../support/record.ts';

const START = { startedAt: 1_000_000, pattern: '/**', propagates: true };
const CONTEXT = { targets: new Map(), scheme: 'http' } as const;

function traced(info = {}) {
  const trace = new CallTrace(START);
  return { trace, story: new Story(new RecordingObserver(), { ...info, trace }) };
}

const dataOf = ({ trace, story }: ReturnType<typeof traced>) => spansOf(story.record, trace, CONTEXT);

test('waits and what policies did are events with their reasons, in order', async () => {
  const call = traced();
  const { record, clock } = call.story;
  await clock.advance(5);
  record.note('queued', 5);
  record.waitedForQuota(7, 'window');
  await call.story.attempt(503);
  await call.story.wait(20, 'status_503');
  record.attemptStarted(2);
  await clock.advance(3);
  record.hedgeStarted(3, 3);
  record.note('hedge', 'won');
  call.story.end();
  expect(dataOf(call)[0]?.events).toEqual([
    { name: 'concurrency_wait', atMs: 5, attributes: { wait_ms: 5 } },
    { name: 'quota_wait', atMs: 5, attributes: { wait_ms: 7, reason: 'window' } },
    { name: 'backoff', atMs: 15, attributes: { attempt: 2, wait_ms: 20, reason: 'status_503' } },
    { name: 'hedge_started', atMs: 38, attributes: { attempt: 3, after_ms: 3 } },
    { name: 'hedge', atMs: 38, attributes: { value: 'won' } },
  ]);
});

test('spans lie where the attempts were; one that was still under way ends with its call', async () => {
  const call = traced();
  await call.story.attempt(503, 10);
  await call.story.wait(20, 'status_503');
  call.story.record.attemptStarted(2);
  await call.story.clock.advance(4);
  call.story.end({ status: 504, origin: 'proxy', error: 'deadline_exceeded' });
  const [server, ...attempts] = dataOf(call);
  expect(server).toMatchObject({ startedAt: 1_000_000, endedAt: 1_000_034, error: 'deadline_exceeded' });
  expect(attempts).toMatchObject([
    { startedAt: 1_000_000, endedAt: 1_000_010, attributes: { 'error.type': '503' } },
    { startedAt: 1_000_030, endedAt: 1_000_034, error: undefined },
  ]);
});

test('a 4xx is an error of the attempt, but not of this server', async () => {
  const call = traced();
  await call.story.attempt(404);
  call.story.end({ status: 404 });
  expect(dataOf(call).map(({ error }) => error)).toEqual([undefined, '']);
});

test('work in the background is in no span', async () => {
  const call = traced();
  const background = call.story.record.inBackground();
  expect(background.attemptStarted(1)).toBeUndefined();
  background.note('rejected', 'quota');
  call.story.end();
  expect(dataOf(call)).toMatchObject([{ kind: 'server', events: [] }]);
});

test('an invented method has no name of its own', () => {
  const call = traced({ method: 'BREW' });
  call.story.end();
  expect(dataOf(call)[0]).toMatchObject({
    name: 'HTTP /**',
    attributes: { 'http.request.method': '_OTHER', 'http.request.method_original': 'BREW' },
  });
});

test('events and attempts of one call are bounded', async () => {
  const call = traced();
  for (let i = 0; i < 200; i++) {
    call.story.record.attemptStarted(i + 1);
    call.story.record.note('rejected', 'quota');
  }
  call.story.end();
  const [server, ...attempts] = dataOf(call);
  expect(server?.events).toHaveLength(128);
  expect(attempts).toHaveLength(128);
});

test.each([
  ['https://api.example', { address: 'api.example', port: 443 }],
  ['http://api.example', { address: 'api.example', port: 80 }],
  ['http://[::1]:81', { address: '[::1]', port: 81 }],
])('%s has the port of its scheme, unless it names one', (url, target) => {
  expect(targetOf(url)).toEqual({ url, ...target });
});

test('spans beyond the queue are dropped and counted', async () => {
  const collector = await startOrigin(hang());
  const counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 };
  const options = { url: `${collector.url}/v1/traces`, headers: { set: [] }, sample: 1, service: 'x' };
  const deps = { clock: new FakeClock(), version: '1', instance: 'i', counts, onBatch: () => undefined };
  const exporting = new OtlpExport(options, deps);
  const call = traced();
  call.story.end();
  const [span] = dataOf(call) as [SpanData];
  for (let i = 0; i < 5_000; i++) exporting.add([span]);
  expect(counts.dropped).toBe(5_000 - 4_096);
});

test('spans that the collector took make room for others', async () => {
  const collector = await startCollector();
  const counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 };
  const { promise: taken, resolve } = Promise.withResolvers<void>();
  const options = { url: `${collector.url}/v1/traces`, headers: { set: [] }, sample: 1, service: 'x' };
  const onBatch = () => {
    if (counts.exported === 4_096) resolve();
  };
  const deps = { clock: new FakeClock(), version: '1', instance: 'i', counts, onBatch };
  const exporting = new OtlpExport(options, deps);
  const call = traced();
  call.story.end();
  const [span] = dataOf(call) as [SpanData];
  for (let i = 0; i < 4_096; i++) exporting.add([span]);
  await taken;
  exporting.add([span]);
  await exporting.close();
  expect(counts).toEqual({ exported: 4_097, failed: 0, dropped: 0 });
});

test('a collector whose answer never ends has failed after 10 s, and its late end is not counted again', async () => {
  const clock = new FakeClock();
  const { promise: late, resolve: finish } = Promise.withResolvers<void>();
  const collector = await startOrigin(async ({ response, body }) => {
    await body();
    response.writeHead(200).write('.');
    await late;
    response.end();
  });
  const counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 };
  const failures: (string | undefined)[] = [];
  const options = { url: `${collector.url}/v1/traces`, headers: { set: [] }, sample: 1, service: 'x' };
  const onBatch = (error: Error | undefined) => void failures.push(error?.message);
  const exporting = new OtlpExport(options, { clock, version: '1', instance: 'i', counts, onBatch });
  const call = traced();
  call.story.end();
  exporting.add(dataOf(call));
  const closed = exporting.close();
  await collector.untilRequests(1);
  await clock.advance(9_999);
  expect(failures).toEqual([]);
  await clock.advance(1);
  expect(failures).toEqual(['no complete answer within 10s']);
  finish();
  await closed;
  // A round trip after the end of the answer, so that the SDK has seen it.
  await (await fetch(collector.url, { method: 'POST' })).text();
  expect([counts, failures.length]).toEqual([{ exported: 0, failed: 1, dropped: 0 }, 1]);
});

test('texts of spans are cut, because a client chooses the length of its paths', async () => {
  const collector = await startCollector();
  const counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 };
  const options = { url: `${collector.url}/v1/traces`, headers: { set: [] }, sample: 1, service: 'x' };
  const deps = { clock: new FakeClock(), version: '1', instance: 'i', counts, onBatch: () => undefined };
  const exporting = new OtlpExport(options, deps);
  const call = traced({ target: `/${'p'.repeat(10_000)}` });
  call.story.end();
  exporting.add(dataOf(call));
  await exporting.close();
  const [span] = await collector.untilSpans(1);
  expect(span?.attributes['url.path']).toBe(`/${'p'.repeat(2_047)}`);
});

test('the URL of an upstream is shown without a part that came from outside', () => {
  const yaml =
    'upstreams: { hook: { url: "https://api.example/base/${HOOK}" }, open: { url: "https://open.example/v1" } }';
  const loaded = loadConfig('config.yaml', { HOOK: 's3cret' }, () => yaml);
  if (!loaded.ok) throw new Error('the configuration is invalid');
  expect(Object.fromEntries(tracingSetup(loaded.config).targets)).toEqual({
    hook: { url: 'https://api.example/[redacted]', address: 'api.example', port: 443 },
    open: { url: 'https://open.example/v1', address: 'open.example', port: 443 },
  });
});
