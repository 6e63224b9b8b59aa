import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { breakwater, type Running, temporaryFolder } from '../support/command.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { seededRandom } from '../support/seeded-random.ts';

const ROUNDS = 20;
const SUBMITTERS = 64;
/** Accepted by one process before it is killed. */
const PER_ROUND = 100;

/** An upstream that fails most of the time, in every possible way. */
async function faultyOrigin(): Promise<Origin> {
  const random = seededRandom(7);
  return startOrigin(async ({ request: req, response, body }) => {
    const roll = random();
    if (roll < 0.1) return void req.socket.destroy();
    await body();
    if (roll < 0.2) return void req.socket.resetAndDestroy();
    if (roll < 0.5) return void response.writeHead(503).end('not now');
    response.writeHead(200, { 'content-length': 4 });
    if (roll < 0.55) return void response.write('ok', () => req.socket.destroy());
    response.end('done');
  });
}

const agent = new Agent({ keepAlive: true, maxSockets: SUBMITTERS });

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
}

/** Undefined without a complete answer. */
function send(
  url: string,
  method: string,
  headers: Record<string, string>,
  body = '',
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const req = request(url, { method, headers, agent }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      res.on('error', () => resolve(undefined));
      res.on('close', () =>
        resolve(
          res.complete
            ? { status: res.statusCode ?? 0, location: res.headers.location, body: text }
            : undefined,
        ),
      );
    });
    req.on('error', () => resolve(undefined));
    req.end(body);
  });
}

function started(folder: string): Running {
  return breakwater('start', '--config', join(folder, 'config.yaml'));
}

async function start(folder: string): Promise<{ child: Running; url: string }> {
  const child = started(folder);
  const [, url = ''] = await child.untilPrinted(/"listening on (http:[^"]+)"/);
  return { child, url };
}

test('promise: survives kill -9: every accepted request is found afterwards and ends, under one key', {
  timeout: 300_000,
}, async () => {
  const origin = await faultyOrigin();
  const folder = temporaryFolder({
    'config.yaml': `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: { requests: none, level: info }
durable: { store: store.db }
defaults: { breaker: off, concurrency: off }
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    retry: { idempotency_key: inject, budget: { cap: 1000000 } }
    durable: { concurrency: 32, attempts: 1000, backoff: { base: 5ms, overloaded_base: 5ms, max: 50ms } }
`,
  });
  // A process that ends in good order writes its compile cache.
  const first = await start(folder);
  first.child.child.kill('SIGTERM');
  expect(await first.child.ended()).toBe(0);
  const accepted = new Map<string, string>();
  let order = 0;

  for (let round = 0; round < ROUNDS; round++) {
    const { child, url } = await start(folder);
    if (round === 1) await secondIsRefused(folder);
    const enough = accepted.size + PER_ROUND;
    let alive = true;
    const submitter = async () => {
      while (alive) {
        const id = `order-${++order}`;
        // Every other client sends a key; the others get a generated one.
        const key = order % 2 === 0 ? { 'idempotency-key': id } : undefined;
        const answer = await send(`${url}/api/orders`, 'POST', { prefer: 'respond-async', ...key }, id);
        if (answer?.status === 202) accepted.set(answer.location ?? '', id);
        if (accepted.size >= enough) child.child.kill('SIGKILL');
        if (answer === undefined) alive = false;
      }
    };
    await Promise.all(Array.from({ length: SUBMITTERS }, submitter));
    expect(await child.ended()).toBe('SIGKILL');
  }

  const { url } = await start(folder);
  const statuses = new Map<string, number>();
  const queue = [...accepted.keys()];
  const reader = async () => {
    for (let location = queue.pop(); location !== undefined; location = queue.pop()) {
      const answer = await send(`${url}${location}`, 'GET', { prefer: 'wait=60' });
      const { status } = JSON.parse(answer?.body ?? '{}') as { status?: string };
      statuses.set(`${answer?.status} ${status}`, (statuses.get(`${answer?.status} ${status}`) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: SUBMITTERS }, reader));
  expect(Object.fromEntries(statuses)).toEqual({ '200 succeeded': accepted.size });
  expect(accepted.size).toBeGreaterThanOrEqual(ROUNDS * PER_ROUND);

  const keys = Map.groupBy(
    origin.requests.filter(({ body }) => body.length > 0),
    ({ body }) => body.toString(),
  );
  const sent = new Map(
    [...keys].map(([id, requests]) => [
      id,
      new Set(requests.map(({ headers }) => headers['idempotency-key'])),
    ]),
  );
  expect([...sent].filter(([, used]) => used.size > 1)).toEqual([]);
  expect([...accepted.values()].filter((id) => !sent.has(id))).toEqual([]);
  agent.destroy();
});

async function secondIsRefused(folder: string): Promise<void> {
  const second = started(folder);
  expect(await second.ended()).toBe(1);
  expect(second.err).toMatch(/store\.db.*(in use|another process|locked)/i);
}
