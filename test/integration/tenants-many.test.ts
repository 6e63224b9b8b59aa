import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { queryObjects } from 'node:v8';
import { expect, onTestFinished, test } from 'vitest';
import { Breaker } from '../../src/policies/circuit-breaker/breaker.ts';
import { Http1Pool } from '../../src/upstream/http1-pool.ts';
import { NO_WAIT, startBreakwater } from '../support/breakwater.ts';
import { stubDns } from '../support/dns.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { stateOf } from '../support/tidy.ts';

const TENANTS = 10_000;
const MAX = 500;
/** Pools whose last connection is just being closed. */
const CLOSING = 50;

/** Answers 500 to one tenant. It records nothing, because the test is about memory. */
async function startUpstream(sick: string) {
  const server = createServer((request, response) => {
    response.writeHead(request.headers.host?.startsWith(`${sick}.`) ? 500 : 200).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

test('10 000 tenants in turn: memory is bounded, and an outage of one is its own', {
  timeout: 300_000,
}, async () => {
  const port = await startUpstream('sick');
  const dns = stubDns(['127.0.0.1']);
  const proxy = await startBreakwater(
    `${NO_WAIT}
upstreams:
  shop:
    url: http://{shop}.shops.example:${port}
    allow_private: true
    mount: { path: "/shop/{shop}" }
    tenant: { max: ${MAX} }
    retry: { attempts: 1 }
    breaker: { min_requests: 5, consecutive_failures: 5 }
`,
    { clock: new FakeClock() },
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  onTestFinished(() => agent.destroy());
  const statusOf = (tenant: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      get(`${proxy.url}/shop/${tenant}/v1`, { agent }, (reply) => {
        reply.resume().on('end', () => resolve(reply.statusCode));
      }).on('error', reject);
    });
  const well = new Map<number | undefined, number>();
  const sick: (number | undefined)[] = [];
  for (let first = 0; first < TENANTS; first += 8) {
    const names = Array.from({ length: 8 }, (_, i) => `tenant-${first + i}`);
    for (const status of await Promise.all(names.map(statusOf)))
      well.set(status, (well.get(status) ?? 0) + 1);
    if (first % 400 === 0) sick.push(await statusOf('sick'));
  }

  expect([...well]).toEqual([[200, TENANTS]]);
  expect(sick.slice(0, 6)).toEqual([500, 500, 500, 500, 500, 503]);
  expect(dns.asked.length).toBeGreaterThanOrEqual(TENANTS);
  const [upstream] = (await stateOf(proxy)).upstreams;
  expect(upstream).toMatchObject({ name: 'shop', tenants: { count: MAX, max: MAX, breaker_not_closed: 1 } });
  expect(upstream?.connections).toBeLessThanOrEqual(MAX + CLOSING);
  expect(queryObjects(Breaker, { format: 'count' })).toBeLessThanOrEqual(MAX + CLOSING);
  expect(queryObjects(Http1Pool, { format: 'count' })).toBeLessThanOrEqual(MAX + CLOSING);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain(`breakwater_tenants_left_total{upstream="shop"} ${TENANTS + 1 - MAX}`);
  expect(metrics).toContain('breakwater_tenants_breaker_not_closed{upstream="shop"} 1');
  expect(metrics).not.toContain('tenant-');
});
