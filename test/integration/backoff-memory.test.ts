import { queryObjects } from 'node:v8';
import { expect, test } from 'vitest';
import { Exchange } from '../../src/upstream/exchange.ts';
import { startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';

const CALLS = 50;

test('calls in backoff do not hold their failed attempts in memory', async () => {
  const clock = new FakeClock();
  const failing = Array.from({ length: CALLS }, () => status(503, {}, 'down'));
  const origin = await startOrigin(...failing, ok());
  const proxy = await startBreakwater(
    `upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    breaker: off
    concurrency: off
    retry: { budget: { cap: 1000 }, backoff: { kind: constant, overloaded_base: 10s, jitter: none } }
`,
    { clock },
  );
  const replies = Array.from({ length: CALLS }, () => fetch(`${proxy.url}/api/x`));
  await origin.until(({ requests }) => requests.filter(({ closed }) => closed).length === CALLS);
  while (clock.sleeping < CALLS) await new Promise((resolve) => setImmediate(resolve));
  // The last connection that was used may hold one.
  expect(queryObjects(Exchange, { format: 'count' })).toBeLessThan(CALLS / 10);
  await clock.advance(10_000);
  for (const reply of replies) expect((await reply).status).toBe(200);
});
