import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';
import { openapi } from '../../src/durable/http/openapi.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { violations, type Schema } from '../support/json-schema.ts';
import { hang, ok, startOrigin, status } from '../support/origin.ts';

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { schema: Schema }>> }>
  >;
}

const document = openapi('/_breakwater') as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
};

test('the OpenAPI document is valid by a public linter with its recommended rules', async () => {
  const config = await createConfig({ extends: ['recommended'] });
  const found = await lintFromString({
    source: JSON.stringify(document),
    absoluteRef: 'openapi.json',
    config,
  });
  expect(
    found.map(({ ruleId, message, location }) => `${ruleId} ${location[0]?.pointer} ${message}`),
  ).toEqual([]);
});

/** They need clients with tokens, and tenants: test/integration/durable-clients.test.ts, test/integration/tenants-durable.test.ts. */
const SEEN_ELSEWHERE: ReadonlySet<string> = new Set(['client', 'tenant']);

test('every documented path answers, and every answer is as documented, field by field', async () => {
  const origin = await startOrigin(status(503, {}, 'busy'), ok('done'), ok('polled'), status(400), hang());
  const receiver = await startOrigin(ok());
  const client = await startDurable(
    durableConfig(origin, {
      process: `callbacks: { allow: ["${receiver.url}"], secrets: [${SECRET}], allow_private: true }`,
      durable: 'concurrency: 1',
      top: 'schedules: { rates: { cron: "0 0 1 1 *", request: { path: /api/rates } } }',
      more: '    routes: [{ match: { path: /polled }, durable: { until: { success: [{ status: 200 }] } } }]',
    }),
  );
  const seen = new Map<string, object[]>();
  const call = async (method: string, path: string, template: string, prefer?: string) => {
    const headers = prefer === undefined ? {} : { prefer };
    const reply = await fetch(`${client.proxy.adminUrl}/_breakwater${path}`, { method, headers });
    const operation = document.paths[template]?.[method.toLowerCase()];
    const documented = operation?.responses[reply.status] ?? operation?.responses['default'];
    expect(documented, `${method} ${template} answers ${reply.status}`).toBeDefined();
    const type = reply.headers.get('content-type')?.split(';')[0] ?? '';
    const content = await reply.text();
    const schema = documented?.content?.[type]?.schema;
    const value: unknown = schema === undefined ? undefined : JSON.parse(content);
    expect(schema === undefined ? [] : violations(value, schema, document.components.schemas)).toEqual([]);
    seen.set(template, [
      ...(seen.get(template) ?? []),
      ...(typeof value === 'object' && value !== null ? [value] : []),
    ]);
    return value as { id: string };
  };
  const ask = {
    'breakwater-label': 'a',
    'breakwater-key': 'k',
    'breakwater-callback': `${receiver.url}/x`,
  };
  const idOf = (location: string) => location.slice(location.lastIndexOf('/') + 1);
  const good = idOf(await client.accepted(ask));
  await client.done(`/_breakwater/requests/${good}`);
  const polled = idOf(await client.accepted({}, {}, '/api/polled'));
  await client.done(`/_breakwater/requests/${polled}`);
  const bad = idOf(await client.accepted());
  await client.done(`/_breakwater/requests/${bad}`);
  const running = idOf(await client.accepted());
  await origin.untilRequests(5);
  const waiting = idOf(await client.accepted({ 'breakwater-delay': '1h' }));

  await receiver.untilRequests(1);
  const { callback } = await client.monitor(`/_breakwater/requests/${good}`);
  const delivery = idOf((callback as { href: string }).href);
  for (const id of [good, polled, bad, running, waiting, delivery]) {
    await call('GET', `/requests/${id}`, '/requests/{id}');
    await call('GET', `/requests/${id}/attempts`, '/requests/{id}/attempts');
    await call('GET', `/requests/${id}/response`, '/requests/{id}/response');
  }
  await call('GET', '/requests?limit=2', '/requests');
  await call('GET', '/requests?limit=none', '/requests');
  await call('GET', '/schedules/rates/response', '/schedules/{schedule}/response');
  await call('GET', '/routes', '/routes');
  await call('POST', '/backup', '/backup');
  await call('POST', '/routes/api%2Fdefault/pause', '/routes/{name}/pause');
  await call('POST', '/routes/api%2Fdefault/resume', '/routes/{name}/resume');
  await call('POST', '/routes/none/resume', '/routes/{name}/resume');
  await call('POST', `/requests/${waiting}/retry`, '/requests/{id}/retry');
  await call('POST', `/requests/${running}/cancel`, '/requests/{id}/cancel');
  await call('POST', `/requests/${running}/cancel`, '/requests/{id}/cancel');
  await call('DELETE', `/requests/${running}`, '/requests/{id}');
  await call('GET', `/requests/${running}`, '/requests/{id}');
  await call('GET', `/requests/${running}/response`, '/requests/{id}/response');
  await call('POST', '/requests/retry?label=none&limit=1', '/requests/retry');
  await call('POST', '/requests/cancel?limit=1', '/requests/cancel');
  for (const what of ['run', 'run', 'pause', 'resume'])
    await call('POST', `/schedules/rates/${what}`, `/schedules/{schedule}/${what}`);
  await call('GET', '/schedules', '/schedules');
  await call('GET', '/requests/none', '/requests/{id}');

  expect([...seen.keys()].sort()).toEqual(Object.keys(document.paths).sort());
  // Every documented field was there at least once.
  for (const [name, template] of [
    ['Monitor', '/requests/{id}'],
    ['Changed', '/requests/retry'],
    ['List', '/requests'],
    ['Routes', '/routes'],
  ] as const) {
    const fields = new Set((seen.get(template) ?? []).flatMap((value) => Object.keys(value)));
    const missing = Object.keys(document.components.schemas[name]?.properties ?? {}).filter(
      (field) => !fields.has(field) && !SEEN_ELSEWHERE.has(field),
    );
    expect({ [name]: missing }).toEqual({ [name]: [] });
  }
});

test('the document needs no token', async () => {
  const origin = await startOrigin();
  const client = await startDurable(durableConfig(origin));
  const reply = await client.call('GET', '/_breakwater/openapi.json');
  expect([reply.status, await reply.json()]).toEqual([200, JSON.parse(JSON.stringify(document))]);
});
