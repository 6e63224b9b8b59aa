import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Changes } from '../support/changes.ts';
import { type Running, run, temporaryFolder } from '../support/command.ts';

/** An upstream that notes when each call arrives. */
export interface CountingUpstream {
  readonly url: string;
  /** Milliseconds, in order. */
  readonly seen: number[];
  /** How long a reply takes. */
  replyMs: number;
  /** Replaces the reply; undefined: 200. */
  answer: ((count: number) => { status: number; headers: Record<string, string> }) | undefined;
}

export async function startCountingUpstream(): Promise<CountingUpstream> {
  const upstream = {
    url: '',
    seen: [] as number[],
    replyMs: 0,
    answer: undefined as CountingUpstream['answer'],
  };
  const server = createServer({ keepAlive: true }, (incoming, outgoing) => {
    upstream.seen.push(performance.now());
    const { headers, status } = upstream.answer?.(upstream.seen.length) ?? { status: 200, headers: {} };
    incoming.resume();
    const reply = () => outgoing.writeHead(status, headers).end('ok');
    if (upstream.replyMs === 0) reply();
    else setTimeout(reply, upstream.replyMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return upstream;
}

export interface ReplicaProcess {
  readonly process: Running;
  readonly url: string;
  readonly adminUrl: string;
}

const SHIFTED_CLOCK = new URL('../../bench/programs/shifted-clock.mjs', import.meta.url).href;

/**
 * One proxy as a process of its own. It is killed when the test has finished. `shiftMs`: how far its wall clock is from that of the
 * machine.
 */
export async function startReplica(yaml: string, shiftMs = 0): Promise<ReplicaProcess> {
  const head = 'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n';
  const folder = temporaryFolder({ 'config.yaml': head + yaml });
  const shift = shiftMs === 0 ? [] : ['--import', SHIFTED_CLOCK];
  const args = [...shift, 'src/main.ts', 'start', '--config', join(folder, 'config.yaml')];
  const process_ = run(process.execPath, args, { env: { SHIFT_MS: String(shiftMs) } });
  const [, adminUrl = '', url = ''] = await process_.untilPrinted(
    /"admin":"(http:[^"]+)".*listening on (http:[^"]+)"/,
  );
  return { process: process_, url, adminUrl };
}

/** The results of the calls that were offered. */
export interface Offered {
  readonly statuses: Map<number, number>;
  longestMs: number;
  /** Resolves once so many calls were answered with 200. */
  answered(count: number): Promise<void>;
  /** Offers no more calls. */
  stop(): void;
  readonly done: Promise<void>;
}

/** The record of its calls. */
interface Answers extends Pick<Offered, 'statuses' | 'longestMs'> {
  readonly changes: Changes;
}

/** Offers `perSecond` calls for `ms`, whether earlier ones have ended or not. */
export function offer(url: string, perSecond: number, ms: number): Offered {
  const agent = new Agent({ keepAlive: true, maxSockets: 1_000 });
  const offered: Answers = { statuses: new Map(), longestMs: 0, changes: new Changes() };
  const calls: Promise<void>[] = [];
  const begun = performance.now();
  let sent = 0;
  let stopped = false;
  const stop = () => {
    stopped = true;
  };
  const done = new Promise<void>((resolve) => {
    const tick = setInterval(() => {
      const due = Math.min((performance.now() - begun) / 1_000, ms / 1_000) * perSecond;
      while (sent < due) {
        sent++;
        calls.push(call(url, agent, offered));
      }
      if (!stopped && performance.now() - begun < ms) return;
      clearInterval(tick);
      void Promise.all(calls).then(() => {
        agent.destroy();
        resolve();
      });
    }, 5);
  });
  const answered = (count: number) => offered.changes.until(() => (offered.statuses.get(200) ?? 0) >= count);
  return Object.assign(offered, { answered, done, stop });
}

function call(url: string, agent: Agent, offered: Answers): Promise<void> {
  const at = performance.now();
  return new Promise((resolve) => {
    const ended = (status: number) => {
      offered.statuses.set(status, (offered.statuses.get(status) ?? 0) + 1);
      if (status === 200) offered.longestMs = Math.max(offered.longestMs, performance.now() - at);
      offered.changes.notify();
      resolve();
    };
    request(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => ended(response.statusCode ?? 0));
      response.on('error', () => ended(0));
    })
      .on('error', () => ended(0))
      .end();
  });
}
