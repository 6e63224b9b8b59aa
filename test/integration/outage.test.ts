import { request } from 'undici';
import { expect, test } from 'vitest';
import { startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startOrigin } from '../support/origin.ts';

/** 2 400 calls over sockets, one after the other. */
const BUSY_MACHINE_MS = 120_000;

/**
 * An upstream that is down for 30 s at 50 requests a second, with the built-in defaults, in the clock's time: what the
 * callers get, what the upstream sees, and how soon all is well again.
 */
test.each(['503', 'reset'] as const)(
  '30 s of outage (%s): bounded, fast, spared, and soon over',
  { timeout: BUSY_MACHINE_MS },
  async (kind) => {
    const RPS = 50;
    const STEP_MS = 1000 / RPS;
    const CALM_S = 3;
    let down = false;
    const origin = await startOrigin(async ({ request: req, response }) => {
      if (!down) return void response.end('ok');
      if (kind === 'reset') return void req.socket.resetAndDestroy();
      response.writeHead(503).end('down');
    });
    const clock = new FakeClock();
    const proxy = await startBreakwater(
      `upstreams:\n  api: { url: "${origin.url}", allow_private: true }\n`,
      { clock },
    );

    interface Answer {
      readonly at: number;
      readonly status: number;
      readonly ms: number;
      readonly attempts: number;
      readonly retryAfter: string | undefined;
    }
    const answers: Answer[] = [];
    let asked = 0;
    const call = async (at: number) => {
      const reply = await request(`${proxy.url}/api/`);
      await reply.body.dump();
      answers.push({
        at,
        status: reply.statusCode,
        ms: clock.now() - at,
        attempts: Number(reply.headers['breakwater-attempts']),
        retryAfter: reply.headers['retry-after'] as string | undefined,
      });
    };
    const pending: Promise<void>[] = [];
    const run = async (seconds: number) => {
      for (let step = 0; step < seconds * RPS; step++) {
        asked++;
        pending.push(call(clock.now()));
        // Every call is either answered or asleep in backoff before time goes on.
        while (answers.length + clock.sleeping < asked) await new Promise((resolve) => setImmediate(resolve));
        await clock.advance(STEP_MS);
      }
    };

    await run(CALM_S);
    expect(answers.every(({ status }) => status === 200)).toBe(true);

    const before = { requests: origin.requests.length, asked };
    down = true;
    await run(30);
    down = false;
    const touched = origin.requests.length - before.requests;
    const during = answers.filter(({ at }) => at >= CALM_S * 1000 && at < (CALM_S + 30) * 1000);

    // The published bound: requests + cap + refill; nothing succeeds. In fact it is one second of requests (the breaker
    // opens after ten failures in a row that span it), what the budget adds, and at most two probes a second.
    expect(touched).toBeLessThanOrEqual(asked - before.asked + 10 + 0.1 * 30);
    expect(touched).toBeLessThanOrEqual(RPS + 10 + 0.1 * 30 + 30 / 0.5);
    const opened = proxy.states.find((event) => event.type === 'breaker_changed' && event.to === 'open');
    expect(opened).toMatchObject({ from: 'closed' });
    const rejected = during.filter(({ attempts, status }) => status === 503 && attempts === 0);
    expect(rejected.length).toBeGreaterThan(0.9 * during.length);
    for (const { ms, retryAfter } of rejected) {
      expect(ms).toBe(0);
      expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
    }

    const back = clock.now();
    await run(15);
    const soon = answers.filter(({ at }) => at >= back + 5_000 && at < back + 15_000);
    const well = soon.filter(({ status }) => status === 200);
    expect(well.length / soon.length).toBeGreaterThanOrEqual(0.95);
    await clock.advance(60_000);
    await Promise.all(pending);
  },
);
