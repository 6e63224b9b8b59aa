import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DemoApi, startDemoApi } from '../demo-api/server.ts';
import { startBreakwater } from '../lib/breakwater.ts';
import { Client, type Monitor, type Payment } from './client.ts';
import { configFor } from './config.ts';
import { type Receiver, startReceiver } from './receiver.ts';

export interface Options {
  readonly payments: number;
  /** The same seed gives the same failures of the API, in the order of its requests. */
  readonly seed: number;
  /** All times are divided by this. */
  readonly speed: number;
  /** Called with each line of the story. */
  readonly say: (line: string) => void;
}

/** The state of a payment in its app. */
export interface Paid {
  readonly order: string;
  readonly status: string;
  readonly attempts: number;
  /** The reply of the API. */
  readonly result: { readonly status: number; readonly text: string };
  /** The state in the callback. */
  readonly callback: string;
}

export interface Story {
  readonly paid: readonly Paid[];
  /** The requests that the API received: their keys and results. */
  readonly seen: readonly { readonly idempotency_key?: string; readonly outcome: string }[];
}

/** Submits payments, follows their status, fetches results and receives callbacks, while the API fails most of the time. */
export async function runPayments({ payments, seed, speed, say }: Options): Promise<Story> {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-payments-'));
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const habits = `fail=0.7&delay=0-${Math.max(1, Math.round(10_000 / speed))}ms`;
  const api = await startDemoApi({ host: '127.0.0.1', port: 0, seed, habits });
  const receiver = await startReceiver(secret);
  const store = join(folder, 'breakwater.db');
  const proxy = await startBreakwater(
    configFor({ apiUrl: api.url, hooks: receiver.url, secret, store, speed }),
  );
  say(`a payment API that fails 70 % of the time and answers in 0 to 10 s: ${api.url}`);
  say(`Breakwater in front of it: ${proxy.url}/pay`);
  say(`the app hears of the ends at ${receiver.url}`);
  if (speed !== 1) say(`everything is ${speed} times faster`);
  say('');
  try {
    const client = new Client(proxy.url, receiver.url);
    const orders = Array.from({ length: payments }, (_, i) => ({
      order: `order-${i + 1}`,
      amount: 100 * (i + 1),
    }));
    const timedSay = timed(say);
    const paid = await Promise.all(
      orders.map((payment) => pay(payment, { client, receiver, say: timedSay })),
    );
    const seen = await seenBy(api);
    summarise(paid, seen, say);
    return { paid, seen };
  } finally {
    await proxy.stop();
    await Promise.all([receiver.close(), api.close()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

interface PaymentDeps {
  readonly client: Client;
  readonly receiver: Receiver;
  readonly say: (line: string) => void;
}

async function pay(payment: Payment, { client, receiver, say: tell }: PaymentDeps): Promise<Paid> {
  const { order } = payment;
  const say = (line: string) => tell(`${order}: ${line}`);
  const { id, location } = await client.submit(payment);
  say(`accepted as ${id.slice(0, 12)}…`);
  // An app that missed the reply submits again. The key makes it the same payment.
  const again = await client.submit(payment);
  say(`submitted once more: ${again.repeat && again.id === id ? 'the same request' : 'ANOTHER request'}`);
  let last: Monitor | undefined;
  for await (const monitor of client.changes(location)) {
    if (!monitor.done && news(last, monitor)) say(describe(monitor));
    last = monitor;
  }
  const status = last?.status ?? 'unknown';
  const attempts = last?.attempts.made ?? 0;
  const result = await client.result(location);
  say(
    `${status} after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${result.status} ${result.text}`,
  );
  const { type } = await receiver.untilCalled(id);
  say(`callback: ${type}, signature verified`);
  return { order, status, attempts, result, callback: type };
}

/** Prints only the end of attempts. */
function news(before: Monitor | undefined, now: Monitor): boolean {
  return now.attempts.last !== undefined && now.attempts.last.n !== before?.attempts.last?.n;
}

function describe({ attempts: { last }, next }: Monitor): string {
  const ended = `attempt ${last?.n} ended with ${last?.status ?? last?.error}`;
  if (next === undefined) return `${ended}, and the next one runs`;
  const wait = Date.parse(next.at) - Date.now();
  return `${ended}, the next one ${wait > 0 ? `in ${shown(wait)}` : 'is due'} (${next.reason})`;
}

function summarise(paid: readonly Paid[], seen: Story['seen'], say: (line: string) => void): void {
  const failed = seen.filter(({ outcome }) => !outcome.startsWith('2')).length;
  const charges = new Set(paid.map(({ result }) => (JSON.parse(result.text) as { id?: string }).id));
  say('');
  say(`the API was asked ${seen.length} times and failed ${failed} times`);
  say(
    `${paid.filter(({ status }) => status === 'succeeded').length} of ${paid.length} payments succeeded, by ${charges.size} payments at the API`,
  );
}

async function seenBy(api: DemoApi): Promise<Story['seen']> {
  return (await (await fetch(`${api.url}/_log?last=500`)).json()) as Story['seen'];
}

/** Prefixes each line with the time since this call. */
function timed(say: (line: string) => void): (line: string) => void {
  const began = performance.now();
  return (line) => say(`${shown(performance.now() - began).padStart(6)}  ${line}`);
}

const shown = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);
