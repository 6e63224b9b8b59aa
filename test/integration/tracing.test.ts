import { expect, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { hang, ok, startOrigin, status } from '../support/origin.ts';
import { type Collector, type ReceivedSpan, startCollector } from '../support/otlp.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const SAMPLED = `00-${TRACE}-${SPAN}-01`;

const tracing = ({ url }: Pick<Collector, 'url'>, more = '') => `\ntracing: { otlp: "${url}"${more} }\n`;
const ALL = ', sample: 100%';

/** Stops the proxy, which sends what waits, and returns all spans. */
async function flushed(
  proxy: { app: { stop(ms: number): Promise<void> } },
  collector: Collector,
  count: number,
) {
  await proxy.app.stop(0);
  return collector.untilSpans(count);
}

const bySpan = (spans: readonly ReceivedSpan[], kind: ReceivedSpan['kind']) =>
  spans.filter((span) => span.kind === kind).sort((a, b) => a.startedAt - b.startedAt);

test('the trace of a rescued call has three attempts with their waits, and goes on from the client to the upstream', async () => {
  const collector = await startCollector();
  const origin = await startOrigin(status(503), status(500), ok('hi'));
  const backoff =
    '    retry: { backoff: { kind: constant, base: 3ms, overloaded_base: 3ms, jitter: none } }\n';
  const routes = '    routes: [{ name: charge, match: { path: "/v1/charges/:id" } }]\n';
  const proxy = await startBreakwater(
    apiConfig(origin, backoff + routes) + tracing(collector, ', service: gate'),
  );
  const headers = { traceparent: SAMPLED, tracestate: 'a=b', 'x-request-id': 'app-17' };
  await (await fetch(`${proxy.url}/api/v1/charges/17?key=s3cret`, { headers })).text();
  await proxy.untilEnded(1);
  const spans = await flushed(proxy, collector, 4);
  const [server, ...others] = bySpan(spans, 'server');
  const attempts = bySpan(spans, 'client');
  expect(others).toEqual([]);
  expect(server).toMatchObject({
    name: 'GET /v1/charges/:id',
    traceId: TRACE,
    parentId: SPAN,
    status: { code: 0 },
    resource: { 'service.name': 'gate', 'telemetry.sdk.name': 'opentelemetry' },
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/v1/charges/:id',
      'http.response.status_code': 200,
      'url.path': '/v1/charges/17?…',
      'url.scheme': 'http',
      'client.address': '127.0.0.1',
      'breakwater.request_id': 'app-17',
      'breakwater.outcome': 'rescued',
      'breakwater.attempts': 3,
    },
  });
  expect(
    attempts.map(({ name, parentId, traceId, status: { code } }) => [name, parentId, traceId, code]),
  ).toEqual([
    ['GET /v1/charges/:id', server?.spanId, TRACE, 2],
    ['GET /v1/charges/:id', server?.spanId, TRACE, 2],
    ['GET /v1/charges/:id', server?.spanId, TRACE, 0],
  ]);
  expect(attempts.map(({ attributes }) => attributes)).toMatchObject([
    {
      'http.response.status_code': 503,
      'error.type': '503',
      'server.address': '127.0.0.1',
      'server.port': origin.port,
    },
    {
      'http.response.status_code': 500,
      'http.request.resend_count': 1,
      'breakwater.retry_reason': 'status_503',
    },
    {
      'http.response.status_code': 200,
      'http.request.resend_count': 2,
      'url.full': `${origin.url}/v1/charges/17?…`,
    },
  ]);
  expect(server?.events).toMatchObject([
    { name: 'backoff', attributes: { attempt: 2, wait_ms: 3, reason: 'status_503' } },
    { name: 'backoff', attributes: { attempt: 3, wait_ms: 3, reason: 'status_500' } },
  ]);
  for (const { at } of server?.events ?? []) {
    expect(at).toBeGreaterThanOrEqual(server?.startedAt ?? 0);
    expect(at).toBeLessThanOrEqual(server?.endedAt ?? 0);
  }
  // Each attempt carries its own span to the upstream, and what other vendors added stays.
  expect(origin.requests.map((request) => request.headers['traceparent'])).toEqual(
    attempts.map(({ spanId }) => `00-${TRACE}-${spanId}-01`),
  );
  expect(origin.requests[0]?.headers['tracestate']).toBe('a=b');
  expect(collector.origin.requests[0]).toMatchObject({ method: 'POST', url: '/v1/traces' });
  expect(Buffer.concat(collector.origin.requests.map(({ body }) => body)).includes('s3cret')).toBe(false);
});

test('the flag of the client decides, not the share; an unsampled trace passes through as it is', async () => {
  const collector = await startCollector();
  const origin = await startOrigin();
  const proxy = await startBreakwater(apiConfig(origin) + tracing(collector, ALL));
  const unsampled = `00-${TRACE}-${SPAN}-00`;
  await fetch(`${proxy.url}/api/a`, { headers: { traceparent: unsampled } });
  await fetch(`${proxy.url}/api/b`);
  await proxy.untilEnded(2);
  const spans = await flushed(proxy, collector, 2);
  expect(spans.map(({ attributes }) => attributes['url.path'] ?? attributes['url.full'])).toEqual([
    '/b',
    `${origin.url}/b`,
  ]);
  const [server] = bySpan(spans, 'server');
  expect(server).toMatchObject({ parentId: '', traceId: expect.stringMatching(/^[\da-f]{32}$/) as string });
  const [client] = bySpan(spans, 'client');
  expect(origin.requests.map((request) => request.headers['traceparent'])).toEqual([
    unsampled,
    `00-${server?.traceId}-${client?.spanId}-01`,
  ]);
});

test('a share of the traces that begin here is sampled', async () => {
  const collector = await startCollector();
  const origin = await startOrigin();
  let draw = 0;
  // Every fourth call draws less than a quarter.
  const random = () => (draw++ % 4) / 4;
  const proxy = await startBreakwater(apiConfig(origin) + tracing(collector, ', sample: 25%'), { random });
  for (let i = 0; i < 8; i++) await fetch(`${proxy.url}/api/${i}`);
  await proxy.untilEnded(8);
  const spans = await flushed(proxy, collector, 4);
  expect(bySpan(spans, 'server').map(({ attributes }) => attributes['url.path'])).toEqual(['/0', '/4']);
});

test('a signed route, and one that removes traceparent, are traced, but their attempts carry nothing', async () => {
  const collector = await startCollector();
  const origin = await startOrigin();
  const routes = `    routes:
      - { match: { path: /signed }, signed: true }
      - { match: { path: /bare }, headers: { remove: [Traceparent] } }
`;
  const proxy = await startBreakwater(apiConfig(origin, routes) + tracing(collector, ALL));
  await fetch(`${proxy.url}/api/signed`, { headers: { traceparent: SAMPLED } });
  await fetch(`${proxy.url}/api/bare`, { headers: { traceparent: SAMPLED } });
  await proxy.untilEnded(2);
  expect(await flushed(proxy, collector, 4)).toHaveLength(4);
  expect(origin.requests.map((request) => request.headers['traceparent'])).toEqual([SAMPLED, undefined]);
});

test('log.path: route keeps paths out of spans, and headers go along with each export', async () => {
  const collector = await startCollector();
  const origin = await startOrigin();
  const routes = '    routes: [{ match: { path: "/people/:name" } }]\n';
  const auth = ', headers: { authorization: Bearer t0ken }';
  const proxy = await startBreakwater(
    `${apiConfig(origin, routes)}${tracing(collector, ALL + auth)}log: { path: route }\n`,
  );
  await fetch(`${proxy.url}/api/people/jane-doe`);
  await proxy.untilEnded(1);
  const config = await (await fetch(`${proxy.adminUrl}/api/config`)).text();
  expect(config).toContain('"service"');
  expect(config).not.toContain('t0ken');
  const spans = await flushed(proxy, collector, 2);
  expect(bySpan(spans, 'client')[0]?.attributes['url.full']).toBe(`${origin.url}/people/:name`);
  expect(collector.origin.requests[0]?.headers.authorization).toBe('Bearer t0ken');
  expect(Buffer.concat(collector.origin.requests.map(({ body }) => body)).includes('jane')).toBe(false);
});

test('attempts of a durable request and of its callback are linked to the submission', async () => {
  const collector = await startCollector();
  const origin = await startOrigin(status(503), ok('paid'));
  const receiver = await startOrigin(status(204));
  const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
  const callbacks = `callbacks: { allow: ["${receiver.url}/**"], secrets: [${secret}], allow_private: true }`;
  const client = await startDurable(
    durableConfig(origin, { process: callbacks, top: tracing(collector, ALL) }),
  );
  const headers = { traceparent: SAMPLED, 'breakwater-callback': `${receiver.url}/hook?k=s3cret` };
  const location = await client.accepted(headers);
  const { id } = await client.done(location, { traceparent: `00-${TRACE}-${SPAN}-00` });
  await client.proxy.until(() => client.proxy.states.some(({ type }) => type === 'callback_ended'));
  const spans = await flushed(client.proxy, collector, 7);
  const [submission] = bySpan(spans, 'server');
  expect(submission).toMatchObject({ traceId: TRACE, attributes: { 'http.response.status_code': 202 } });
  const runs = bySpan(spans, 'internal');
  const attempts = bySpan(spans, 'client');
  expect(runs.map(({ name }) => name)).toEqual([
    'durable api/default',
    'durable api/default',
    'durable callbacks',
  ]);
  for (const [i, run] of runs.entries()) {
    expect(run.links).toEqual([{ traceId: TRACE, spanId: submission?.spanId }]);
    expect(run).toMatchObject({ parentId: '' });
    expect(attempts[i]).toMatchObject({ traceId: run.traceId, parentId: run.spanId });
  }
  expect(runs[0]?.attributes['breakwater.request_id']).toBe(id);
  expect(attempts[2]?.attributes['url.full']).toBe(`${receiver.url}/hook?…`);
  const sent = [...origin.requests, ...receiver.requests].map((request) => request.headers['traceparent']);
  expect(sent).toEqual(attempts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`));
});

test('a collector that fails costs a counter and one log line', async () => {
  const collector = await startOrigin(status(400));
  const origin = await startOrigin();
  const proxy = await startBreakwater(apiConfig(origin) + tracing(collector, ALL));
  expect((await fetch(`${proxy.url}/api/a`)).status).toBe(200);
  await proxy.until(() => proxy.logs.some(({ message }) => message.includes('collector')));
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_trace_spans_total{result="failed"} 2');
  expect(metrics).toContain('breakwater_trace_spans_total{result="exported"} 0');
  await fetch(`${proxy.url}/api/b`);
  const failed = async () => (await fetch(`${proxy.adminUrl}/metrics`)).text();
  await collector.untilRequests(2);
  while (!(await failed()).includes('breakwater_trace_spans_total{result="failed"} 4'));
  const warnings = proxy.logs.filter(({ level }) => level === 'warn');
  expect(warnings.map(({ message }) => message)).toEqual([
    'traces cannot be sent to the collector (it answered 400); calls are not affected, and lost spans are only counted',
  ]);
});

test('a collector that does not answer delays neither calls nor the end of the process', async () => {
  const collector = await startOrigin(hang());
  const origin = await startOrigin();
  const proxy = await startBreakwater(apiConfig(origin) + tracing(collector, ALL));
  for (let i = 0; i < 3; i++) expect((await fetch(`${proxy.url}/api/${i}`)).status).toBe(200);
  await proxy.app.stop(0);
});

test('a reload turns tracing on and off', async () => {
  const collector = await startCollector();
  const origin = await startOrigin();
  const proxy = await startBreakwater(apiConfig(origin));
  const call = async (path: string) => (await fetch(`${proxy.url}/api/${path}`)).text();
  await call('before');
  proxy.rewrite(apiConfig(origin) + tracing(collector, ALL));
  await proxy.app.reload();
  await call('on');
  proxy.rewrite(apiConfig(origin));
  await proxy.app.reload();
  const spans = await collector.untilSpans(2);
  await call('after');
  const paths = new Set([...spans, ...collector.spans()].map(({ attributes }) => attributes['url.path']));
  expect(paths).toEqual(new Set(['/on', undefined]));
});

test('an OpenMetrics scrape leads from the duration of a call to its trace', async () => {
  const collector = await startCollector();
  const origin = await startOrigin();
  const proxy = await startBreakwater(apiConfig(origin) + tracing(collector, ALL));
  await fetch(`${proxy.url}/api/a`, { headers: { traceparent: SAMPLED } });
  await proxy.untilEnded(1);
  const scrape = async (accept: string) => fetch(`${proxy.adminUrl}/metrics`, { headers: { accept } });
  const open = await scrape('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3');
  expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
  expect(await open.text()).toContain(`# {trace_id="${TRACE}"}`);
  const plain = await scrape('text/plain');
  expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await plain.text()).not.toContain('trace_id');
});

test('a durable request is traced only if its submission was; log.path: route keeps its path out of spans', async () => {
  const collector = await startCollector();
  const origin = await startOrigin(ok('paid'));
  const top = `${tracing(collector, ALL)}log: { path: route }`;
  const client = await startDurable(durableConfig(origin, { top }));
  const unsampled = `00-${TRACE}-${SPAN}-00`;
  for (const traceparent of [unsampled, SAMPLED]) {
    const location = await client.accepted({ traceparent }, {}, '/api/people/jane-doe');
    await client.done(location, { traceparent: unsampled });
  }
  const spans = await flushed(client.proxy, collector, 3);
  expect(spans).toHaveLength(3);
  expect(bySpan(spans, 'client')[0]?.attributes['url.full']).toBe(`${origin.url}/…`);
  expect(Buffer.concat(collector.origin.requests.map(({ body }) => body)).includes('jane')).toBe(false);
});
