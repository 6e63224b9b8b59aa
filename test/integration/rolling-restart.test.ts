import { request } from 'node:http';
import { expect, test } from 'vitest';
import { Changes } from '../support/changes.ts';
import { breakwater, type Running, run, temporaryFolder } from '../support/command.ts';
import { startOrigin } from '../support/origin.ts';

/*
 * Rolling restarts of a pod, as Kubernetes carries them out: the next pod is started and probed, traffic moves to it, and the old
 * pod gets SIGTERM while its app still works. An app and its sidecar are two processes.
 */

/** Restarts of each order. */
const RESTARTS = Number(process.env['BREAKWATER_RESTARTS'] ?? 2);

/** Requests that clients have open at any time. */
const CLIENTS = 4;

interface Pod {
  readonly name: string;
  readonly app: Running;
  readonly appUrl: string;
  readonly sidecar: Running;
  readonly probeUrl: string;
}

/** A request of a client with a connection of its own, as a load balancer makes it. */
function get(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const req = request(url, { agent: false }, (res) => {
      let body = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body }));
      res.on('error', reject);
    });
    req.on('error', reject).end();
  });
}

async function startPod(name: string, origin: string, more: string): Promise<Pod> {
  const folder = temporaryFolder({
    'config.yaml': `${more}
listen: 127.0.0.1:0
admin: 127.0.0.1:0
metrics: 127.0.0.1:0
upstreams: { api: { url: "${origin}", allow_private: true } }
`,
  });
  const sidecar = breakwater('start', '--config', `${folder}/config.yaml`);
  const [, probeUrl = ''] = await sidecar.untilPrinted(/metrics and probes alone: (http:[^"]+)\/metrics/);
  const [, sidecarUrl = ''] = await sidecar.untilPrinted(/listening on (http:[^"]+)/);
  expect((await get(`${probeUrl}/readyz`)).status).toBe(200);
  const app = run(process.execPath, ['test/support/pod-app.mjs'], { env: { SIDECAR: sidecarUrl } });
  const [, appUrl = ''] = await app.untilPrinted(/app on (http:\S+)/);
  expect((await get(`${appUrl}/healthz`)).status).toBe(200);
  return { name, app, appUrl, sidecar, probeUrl };
}

/** A native sidecar (an init container with restartPolicy: Always) gets SIGTERM after the app has ended. */
async function stopAppFirst({ app, sidecar }: Pod, release: () => void): Promise<void> {
  app.child.kill('SIGTERM');
  await app.untilPrinted(/app stops/);
  release();
  expect(await app.ended()).toBe(0);
  sidecar.child.kill('SIGTERM');
  expect(await sidecar.ended()).toBe(0);
}

/** Of two ordinary containers, the sidecar may get SIGTERM first. It serves the app for `drain_delay`, here until the app has ended. */
async function stopSidecarFirst({ app, sidecar, probeUrl }: Pod, release: () => void): Promise<void> {
  sidecar.child.kill('SIGTERM');
  await sidecar.untilPrinted(/calls are served for another 1h/);
  expect((await get(`${probeUrl}/readyz`)).status).toBe(503);
  app.child.kill('SIGTERM');
  await app.untilPrinted(/app stops/);
  release();
  expect(await app.ended()).toBe(0);
  // The end of the grace period. A test does not wait for an hour.
  sidecar.child.kill('SIGTERM');
  expect(await sidecar.ended()).toBe(1);
}

test.each([
  ['the app before its native sidecar', '', stopAppFirst],
  ['the sidecar before the app', 'drain_delay: 1h', stopSidecarFirst],
] as const)(
  `${RESTARTS} rolling restarts under load, SIGTERM to %s: no call fails`,
  { timeout: 60_000 * (1 + RESTARTS) },
  async (_, more, stop) => {
    const changes = new Changes();
    const held = new Map<string, (() => void)[]>();
    const origin = await startOrigin(async ({ request: { url = '' }, response }) => {
      const pod = url.split('/')[1] ?? '';
      const waiting = held.get(pod);
      // While a pod stops, its calls wait here until it has got SIGTERM.
      if (waiting !== undefined && url.endsWith('/first')) {
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
          changes.notify();
        });
      }
      response.end('ok');
    });

    let pod = await startPod('pod-0', origin.url, more);
    let stopped = false;
    let number = 0;
    const open = new Map<string, number>();
    const failures: string[] = [];
    let answered = 0;

    async function client(): Promise<void> {
      while (!stopped) {
        const { name, appUrl } = pod;
        open.set(name, (open.get(name) ?? 0) + 1);
        const outcome = await get(`${appUrl}/${name}/${number++}`).catch((error: unknown) => ({
          status: 0,
          body: String(error),
        }));
        if (outcome.status === 200) answered++;
        else failures.push(`${name}: ${outcome.status} ${outcome.body}`);
        open.set(name, (open.get(name) ?? 0) - 1);
        changes.notify();
      }
    }
    const clients = Array.from({ length: CLIENTS }, client);

    for (let restart = 1; restart <= RESTARTS; restart++) {
      const old = pod;
      const next = await startPod(`pod-${restart}`, origin.url, more);
      const waiting: (() => void)[] = [];
      held.set(old.name, waiting);
      await changes.until(() => waiting.length === CLIENTS);
      // The endpoint is removed: no new request reaches the old pod. Those that run are all within the app.
      pod = next;
      await stop(old, () => {
        held.delete(old.name);
        for (const resume of waiting) resume();
      });
      await changes.until(() => open.get(old.name) === 0);
    }
    stopped = true;
    await Promise.all(clients);
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThanOrEqual(RESTARTS * CLIENTS);
  },
);
