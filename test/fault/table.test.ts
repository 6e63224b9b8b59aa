import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Breakwater, NO_WAIT } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy } from '../support/tidy.ts';
import { CLIENT_FAULTS, type ClientFault } from './client-faults.ts';
import { FAULTS, type Fault, type FaultyUpstream } from './faults.ts';
import { renderFaults } from './faults-doc.ts';

const DOC = 'docs/faults.md';
const ATTEMPT_MS = 1_000;
const IDLE_MS = 5_000;
const TOTAL_MS = 60_000;
const BODY_MS = 3_000;

/** The attempt timeout is long, except in rows that wait for it. */
const config = ({ url }: { readonly url: string }, attemptMs = ATTEMPT_MS) => `${NO_WAIT}
clients: { body_timeout: ${BODY_MS}ms }
upstreams:
  api:
    url: ${url}
    allow_private: true
    timeouts: { connect: 100ms, attempt: ${attemptMs}ms, idle: ${IDLE_MS}ms, total: ${TOTAL_MS}ms }
    retry: { budget: { cap: 100 } }
    breaker: off
`;

/** A declared body that is streamed because of its size, and can be repeated. */
const BODY = 'x'.repeat(200_000);

function requestOf(method: string, withBody: boolean): string {
  const length = withBody ? `content-length: ${BODY.length}\r\n` : '';
  return `${method} /api/x HTTP/1.1\r\nhost: app\r\n${length}\r\n${withBody ? BODY : ''}`;
}

interface Seen {
  /** `502 ×3`, `200 ×1 cut` */
  readonly clientGets: string;
  readonly proxyStatus: string;
  readonly results: readonly string[];
  readonly outcome: string;
}

interface Waiting {
  readonly fault: Fault;
  readonly upstream: FaultyUpstream;
  readonly clock: FakeClock;
  readonly client: RawClient;
}

/** Advances time each time the upstream is silent, `count` times. */
async function waitOut({ fault, upstream, clock, client }: Waiting, count: number): Promise<void> {
  if (fault.waits === 'idle') {
    await client.untilHead();
    await clock.advance(IDLE_MS);
    return;
  }
  for (let n = 1; n <= count; n++) {
    // Retries here wait for 0 ms, which is a sleep too.
    while ((upstream.stepsTaken ?? 0) < n) {
      await clock.advance(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await clock.advance(ATTEMPT_MS);
  }
}

async function play(fault: Fault, method: string, expected: string): Promise<Seen> {
  const upstream = await fault.upstream();
  const clock = new FakeClock();
  const waits = fault.waits !== undefined;
  const proxy = await startTidy(config(upstream, waits ? ATTEMPT_MS : TOTAL_MS), waits ? { clock } : {});
  const client = await connectRaw(proxy.port);
  void client.send(requestOf(method, fault.moment === 'request body')).catch(() => undefined);
  if (waits) await waitOut({ fault, upstream, clock, client }, attemptsIn(expected));
  return seen(client, proxy);
}

/** The number in `502 ×3`. */
const attemptsIn = (clientGets: string) => Number(clientGets.split('×')[1]?.[0]);

async function seen(client: RawClient, proxy: Breakwater): Promise<Seen> {
  const head = await client.untilHead();
  const whole = await client.readReply().then(
    () => true,
    () => false,
  );
  const [record] = await proxy.untilEnded(1);
  const error = /error=(\w+)/.exec(rawHeader(head, 'proxy-status') ?? '')?.[1] ?? '';
  const clientGets = `${head.startLine.split(' ')[1]} ×${rawHeader(head, 'breakwater-attempts')}${whole ? '' : ' cut'}`;
  return {
    clientGets,
    proxyStatus: error,
    results: await attemptResults(proxy),
    outcome: await outcomeOf(proxy, record?.status),
  };
}

async function metric(proxy: Breakwater, name: string): Promise<readonly (readonly [string, number])[]> {
  const text = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\d+)$`, 'gm'))].map(
    ([, labels = '', value]) => [labels, Number(value)] as const,
  );
}

/** `result ×n` of each series that counted. */
async function attemptResults(proxy: Breakwater): Promise<readonly string[]> {
  const series = await metric(proxy, 'breakwater_attempts_total');
  return series
    .filter(([, value]) => value > 0)
    .map(([labels, value]) => `${/result="(\w+)"/.exec(labels)?.[1]} ×${value}`);
}

async function outcomeOf(proxy: Breakwater, status: number | undefined): Promise<string> {
  const series = await metric(proxy, 'breakwater_requests_total');
  const [labels] = series.find(([, value]) => value === 1) ?? [''];
  const counted = labels.includes(`status="${status === 0 ? 'none' : status}"`) ? '' : ' with another status';
  return `${/outcome="(\w+)"/.exec(labels)?.[1]}${counted}`;
}

function expectedOf(fault: Fault, clientGets: string): Seen {
  const { proxyStatus, result, outcome } = fault;
  return { clientGets, proxyStatus, results: [`${result} ×${attemptsIn(clientGets)}`], outcome };
}

describe.each(FAULTS)('$moment: $fault', (fault) => {
  test(`idempotent: ${fault.idempotent}`, async () => {
    const method = fault.moment === 'request body' ? 'PUT' : 'GET';
    expect(await play(fault, method, fault.idempotent)).toEqual(expectedOf(fault, fault.idempotent));
  });

  test(`POST: ${fault.post}`, async () =>
    expect(await play(fault, 'POST', fault.post)).toEqual(expectedOf(fault, fault.post)));
});

describe.each(CLIENT_FAULTS)('the client $fault', (fault: ClientFault) => {
  test(`the client gets ${fault.clientGets}`, async () => {
    const { upstream, act, clientGets, upstreamGot, outcome, error } = fault;
    const origin = await upstream();
    const clock = new FakeClock();
    const proxy = await startTidy(config(origin), { clock });
    const client = await connectRaw(proxy.port);
    await act({ client, origin, proxy, clock, bodyTimeoutMs: BODY_MS });
    const [record] = await proxy.untilEnded(1);
    await origin.until(({ openConnections }) => openConnections === 0);
    const [, status = 'nothing'] = /^HTTP\/1\.1 (\d+)/.exec(client.received.toString('latin1')) ?? [];
    expect({
      clientGets: status,
      upstreamGot: `${record?.attempts} begun, ${origin.requests.length} whole`,
      outcome: record?.outcome,
      error: record?.error,
    }).toEqual({ clientGets, upstreamGot, outcome, error });
  });
});

test('the table in the docs is current; UPDATE_DOCS=1 rewrites it', () => {
  const rendered = renderFaults(FAULTS, CLIENT_FAULTS);
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(DOC, rendered);
  expect(readFileSync(DOC, 'utf8')).toBe(rendered);
});
