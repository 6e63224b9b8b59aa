import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { breakwater, temporaryFolder } from '../support/command.ts';
import { startOrigin } from '../support/origin.ts';

const CALLS = 20;
const STALL_MS = 6_000;

test('a reply that arrived while the process was stopped is read before its timeout fires', {
  timeout: 60_000,
}, async () => {
  const waiting: ServerResponse[] = [];
  const origin = await startOrigin(({ response }) => {
    waiting.push(response);
  });
  const folder = temporaryFolder({
    'config.yaml': `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams:
  api: { url: "${origin.url}", allow_private: true, timeouts: { total: 4s }, retry: off }
`,
  });
  const running = breakwater('start', '--config', `${folder}/config.yaml`);
  const [, url = ''] = await running.untilPrinted(/"listening on (http:[^"]+)"/);
  const post = () => fetch(`${url}/api/charges`, { method: 'POST', body: 'x' }).then(({ status }) => status);
  const calls = Array.from({ length: CALLS }, post);
  await origin.untilRequests(CALLS);

  running.child.kill('SIGSTOP');
  for (const response of waiting.splice(0)) response.end('done');
  // oxlint-disable-next-line promise/avoid-new -- the process must really stand still for longer than its calls may take
  await new Promise((resolve) => setTimeout(resolve, STALL_MS));
  running.child.kill('SIGCONT');
  expect(new Set(await Promise.all(calls))).toEqual(new Set([200]));

  // The breaker has nothing against the upstream.
  const next = post();
  await origin.untilRequests(CALLS + 1);
  for (const response of waiting.splice(0)) response.end('done');
  expect(await next).toBe(200);
});
