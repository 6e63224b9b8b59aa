import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { type Running, run, temporaryFolder } from '../support/command.ts';
import { type OriginExchange, ok, startOrigin } from '../support/origin.ts';
import { seededRandom } from '../support/seeded-random.ts';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const ROUNDS = 5;
const PER_ROUND = 30;

interface Message {
  readonly type: string;
  readonly data: { readonly id: string };
}

async function start(folder: string): Promise<{ child: Running; url: string }> {
  const child = run(process.execPath, ['src/main.ts', 'start', '--config', `${folder}/config.yaml`]);
  const [, url = ''] = await child.untilPrinted(/"listening on (http:[^"]+)"/);
  return { child, url };
}

test('a process killed at any moment: every end is reported, each under one id', {
  timeout: 120_000,
}, async () => {
  const origin = await startOrigin(ok());
  const random = seededRandom(11);
  /** Ids of the accepted deliveries by the id of their request. */
  const delivered = new Map<string, Set<string>>();
  const seen = new Map<string, Set<string>>();
  let deliveries = 0;
  const note = (map: Map<string, Set<string>>, id: string, webhookId: string) =>
    map.set(id, (map.get(id) ?? new Set()).add(webhookId));
  const receiver = await startOrigin(async ({ request, response, body }: OriginExchange) => {
    const text = (await body()).toString();
    const headers = request.headers as Record<string, string>;
    const { data } = new Webhook(SECRET).verify(text, headers) as Message;
    const webhookId = headers['webhook-id'] ?? '';
    deliveries++;
    note(seen, data.id, webhookId);
    const roll = random();
    // The delivery was accepted and the process died before the reply, or it was not accepted.
    if (roll < 0.3) return void request.socket.destroy();
    if (roll < 0.5) return void response.writeHead(503).end();
    note(delivered, data.id, webhookId);
    response.writeHead(204).end();
  });
  const folder = temporaryFolder({
    'config.yaml': `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: { requests: none, level: info }
durable:
  store: store.db
  callbacks: { allow: ["${receiver.url}"], secrets: [${SECRET}], allow_private: true, waits: [${Array(60).fill('5ms').join(', ')}] }
defaults: { breaker: off, concurrency: off }
upstreams:
  api: { url: "${origin.url}", allow_private: true, durable: { concurrency: 32 } }
`,
  });
  const accepted: string[] = [];
  const submit = async (url: string) => {
    try {
      const reply = await fetch(`${url}/api/orders`, {
        method: 'PUT',
        headers: { prefer: 'respond-async', 'breakwater-callback': `${receiver.url}/done` },
      });
      const { id } = (await reply.json()) as { id: string };
      if (reply.status === 202) accepted.push(id);
    } catch {
      // Killed before it answered: nothing was acknowledged.
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    const { child, url } = await start(folder);
    const enough = deliveries + PER_ROUND / 2;
    const submitted = Promise.all(Array.from({ length: PER_ROUND }, () => submit(url)));
    await receiver.until(() => deliveries >= enough);
    child.child.kill('SIGKILL');
    await submitted;
    expect(await child.ended()).toBe('SIGKILL');
  }
  await start(folder);
  await receiver.until(() => accepted.every((id) => delivered.has(id)));
  expect(accepted.length).toBeGreaterThan(ROUNDS * 5);
  expect([...seen].filter(([, ids]) => ids.size > 1)).toEqual([]);
});
