import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { BodyEnd, BodySink, Reply, ReplyBody, Trailers } from '../../src/http/reply.ts';
import type { StreamErrorRule, StreamOptions } from '../../src/policies/stream/options.ts';
import { stream } from '../../src/policies/stream/stream.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { settled, stubCall, through } from '../support/stub-call.ts';

const PACKED = ['Content-Type', 'text/event-stream', 'Content-Encoding', 'gzip'];
const FIRST = 'data: 1\n\n';
const SECOND = 'data: 2\n\n';
const ERROR = 'event: error\ndata: {}\n\n';

const OPTIONS: StreamOptions = {
  firstEventMs: 1_000,
  eventGapMs: 2_000,
  ignore: [],
  errors: [
    {
      events: ['error'],
      data: [],
      body: [],
      text: [],
      name: 'any',
      status: 503,
      means: undefined,
      throttled: false,
      wait: undefined,
    },
  ],
  done: [],
  holdBytes: 100,
};

/** The body of an upstream that a test writes. */
class Upstream implements ReplyBody {
  sink: BodySink | undefined;
  discarded = false;
  aborted: Error | undefined;
  resumed = 0;

  pipeTo(sink: BodySink): void {
    this.sink = sink;
    sink.on('drain', () => this.resumed++);
  }

  discard(): void {
    this.discarded = true;
  }

  abort(reason: Error): void {
    this.aborted = reason;
    this.sink?.destroy(reason);
  }

  onEnd(): void {}

  /** False if the sink wants no more. */
  write(content: string | Buffer): boolean | undefined {
    return this.sink?.write(Buffer.from(content as string));
  }

  end(): void {
    this.sink?.end();
  }
}

/** A client whose buffer a test fills and drains. */
class Client implements BodySink {
  destroyed = false;
  full = false;
  readonly writes: string[] = [];
  ended = false;
  broken: Error | undefined;
  trailers: Trailers = [];
  #onDrain: (() => void) | undefined;

  write(chunk: Uint8Array): boolean {
    this.writes.push(Buffer.from(chunk).toString());
    return !this.full;
  }

  addTrailers(trailers: Trailers): void {
    this.trailers = trailers;
  }

  end(): void {
    this.ended = true;
  }

  destroy(reason?: Error): void {
    this.broken = reason;
  }

  on(_event: 'drain', listener: () => void): void {
    this.#onDrain = listener;
  }

  drain(): void {
    this.full = false;
    this.#onDrain?.();
  }
}

async function setUp(
  changes: Partial<StreamOptions> = {},
  memoryBytes = 100_000,
  headers = ['Content-Type', 'text/event-stream'],
) {
  const clock = new FakeClock();
  const memory = new ByteBudget(memoryBytes);
  const upstream = new Upstream();
  const head: Reply = {
    status: 200,
    statusText: '',
    headers,
    body: upstream,
  };
  const call = stubCall();
  const policy = stream({ ...OPTIONS, ...changes }, { clock, memory });
  const replying = through(policy, () => Promise.resolve(head))(call, call.attempt);
  replying.catch(() => {});
  await settled();
  return { clock, memory, upstream, call, replying };
}

/** A stream that its client reads. */
async function flowing(changes: Partial<StreamOptions> = {}) {
  const world = await setUp(changes);
  world.upstream.write(FIRST);
  const reply = await world.replying;
  const client = new Client();
  const ends: BodyEnd[] = [];
  reply.body.onEnd((end) => ends.push(end));
  reply.body.pipeTo(client);
  return { ...world, reply, client, ends };
}

const noted = (entries: readonly (readonly unknown[])[], name: string) =>
  entries.filter(([entry]) => entry === name).map(([, value]) => value);

test('the held bytes are released in one write, and the upstream waits until there is a client', async () => {
  const { upstream, replying, memory } = await setUp();
  expect(upstream.write(': a\n\n')).toBe(true);
  expect(upstream.write('data: ')).toBe(true);
  expect(upstream.write('1\n\n')).toBe(false);
  const reply = await replying;
  // A chunk that was on its way is held too.
  expect(upstream.write(SECOND)).toBe(false);
  expect(upstream.resumed).toBe(0);
  const client = new Client();
  reply.body.pipeTo(client);
  expect(client.writes).toEqual([`: a\n\n${FIRST}${SECOND}`]);
  expect(upstream.resumed).toBe(1);
  expect(memory.used).toBe(0);
  expect(upstream.write(SECOND)).toBe(true);
  expect(client.writes).toHaveLength(2);
});

test('a slow client holds the upstream back, and its time is no gap of the upstream', async () => {
  const { upstream, client, clock, call, ends } = await flowing();
  client.full = true;
  expect(upstream.write(SECOND)).toBe(false);
  const before = upstream.resumed;
  await clock.advance(10_000);
  expect(ends).toEqual([]);
  client.drain();
  expect(upstream.resumed).toBe(before + 1);
  await clock.advance(1_500);
  upstream.write(SECOND);
  upstream.end();
  expect(ends).toEqual(['complete']);
  expect(noted(call.entries, 'longest_gap')).toEqual([1_500]);
  expect(clock.pending).toBe(0);
});

test('a client that was slow for a while gives the upstream a whole gap again', async () => {
  const { upstream, client, clock, ends } = await flowing();
  client.full = true;
  upstream.write(SECOND);
  await clock.advance(1_900);
  client.drain();
  await clock.advance(1_999);
  expect(ends).toEqual([]);
  await clock.advance(1);
  expect(ends).toEqual(['broken']);
});

test('a stream that is silent after its last event is left to timeouts.idle', async () => {
  const done = [{ events: ['end'], data: [], body: [], text: [] }];
  const { upstream, clock, ends, call } = await flowing({ done });
  upstream.write('event: end\ndata: 1\n\n');
  await clock.advance(1e6);
  expect(ends).toEqual([]);
  upstream.end();
  expect(noted(call.entries, 'stream')).toEqual(['complete']);
});

test('only a slow client is reported as one, not a reader of compressed events', async () => {
  const { upstream, replying } = await setUp({ holdBytes: 1 }, 100_000, PACKED);
  let heldBack = 0;
  upstream.write(gzipSync(randomBytes(40_000)));
  const reply = await replying;
  reply.body.onHeldBack?.({ heldBack: () => void heldBack++ });
  const client = new Client();
  reply.body.pipeTo(client);
  upstream.write('more');
  expect(heldBack).toBe(0);
  client.full = true;
  upstream.write('more');
  upstream.write('more');
  expect(heldBack).toBe(1);
});

test('the upstream waits for the reader of compressed events', async () => {
  const { upstream, replying } = await setUp({ holdBytes: 1 }, 1_000_000, PACKED);
  const packed = gzipSync(randomBytes(400_000));
  upstream.write(packed.subarray(0, 200_000));
  (await replying).body.pipeTo(new Client());
  expect(upstream.write(packed.subarray(200_000))).toBe(false);
  expect(upstream.resumed).toBe(0);
  await vi.waitUntil(() => upstream.resumed > 0);
});

test('a stream that cannot be read has no gaps', async () => {
  const { upstream, replying, clock } = await setUp({}, 100_000, PACKED);
  upstream.write('no gzip, no gzip');
  const { body } = await replying;
  expect(clock.pending).toBe(0);
  const client = new Client();
  body.pipeTo(client);
  upstream.end();
  expect(client).toMatchObject({ ended: true, broken: undefined });
});

test('a stream that cannot be read any more goes on', async () => {
  const { upstream, replying, clock } = await setUp({}, 1_000_000, PACKED);
  upstream.write(gzipSync(FIRST).subarray(0, -8));
  (await replying).body.pipeTo(new Client());
  const before = upstream.resumed;
  expect(upstream.write(randomBytes(200_000))).toBe(false);
  await vi.waitUntil(() => upstream.resumed > before);
  expect(upstream.write('more')).toBe(true);
  expect(clock.pending).toBe(0);
});

test('a gap is counted from the last meaningful event, whatever else arrives', async () => {
  const { upstream, client, clock, ends } = await flowing();
  await clock.advance(1_000);
  upstream.write(': still here\n\ndata:\n\n');
  await clock.advance(999);
  expect(ends).toEqual([]);
  await clock.advance(1);
  expect(ends).toEqual(['broken']);
  expect(client.broken).toMatchObject({ code: 'idle_timeout' });
  expect(upstream.aborted).toBe(client.broken);
});

test('without limits nothing ends a silent stream', async () => {
  const { clock, ends } = await flowing({ eventGapMs: undefined });
  await clock.advance(1e9);
  expect(ends).toEqual([]);
  expect(clock.pending).toBe(0);
  const silent = await setUp({ firstEventMs: undefined });
  expect(silent.clock.pending).toBe(0);
});

test('more bytes than may be held, and full memory, release the stream without an event', async () => {
  for (const { upstream, replying, call } of [await setUp(), await setUp({ holdBytes: 1e9 }, 50)]) {
    upstream.write(`: ${'x'.repeat(200)}\n\n`);
    expect(await replying).toMatchObject({ status: 200, committed: true });
    expect(noted(call.entries, 'first_event')).toEqual([]);
  }
});

test('the attempt is reported when it has its first event, with its time', async () => {
  const { upstream, replying, clock, call } = await setUp();
  await clock.advance(700);
  expect(call.entries).toEqual([]);
  upstream.write(FIRST);
  await replying;
  expect(call.entries).toEqual([
    ['first_event', 700],
    ['attemptAnswered', 1, 200, 700],
  ]);
});

test('a silence is reported as a failed attempt', async () => {
  const { upstream, replying, clock, call, memory } = await setUp();
  upstream.write(': a\n\n');
  expect(memory.used).toBeGreaterThan(0);
  await clock.advance(1_000);
  await expect(replying).rejects.toMatchObject({ code: 'first_event_timeout', sent: 'sent_unknown' });
  expect(call.entries.slice(0, 2)).toEqual([
    ['attemptFailed', 1, 'first_event_timeout', 'sent_unknown', 1_000],
    ['stream', 'stalled'],
  ]);
  expect([clock.pending, memory.used]).toEqual([0, 0]);
});

test('a client that still uploads is not waited for', async () => {
  const clock = new FakeClock();
  const upstream = new Upstream();
  const call = stubCall();
  let broughtOnAt = 0;
  const sent = { ...call, body: { ...call.body, broughtOnAt: () => broughtOnAt } };
  const head: Reply = {
    status: 200,
    statusText: '',
    headers: ['Content-Type', 'text/event-stream'],
    body: upstream,
  };
  const policy = stream(OPTIONS, { clock, memory: new ByteBudget(1_000) });
  const replying = through(policy, () => Promise.resolve(head))(sent, call.attempt);
  replying.catch(() => {});
  await settled();
  broughtOnAt = 800;
  await clock.advance(1_799);
  expect(upstream.aborted).toBeUndefined();
  await clock.advance(1);
  await expect(replying).rejects.toMatchObject({ code: 'first_event_timeout' });
});

test('a reply that failed with its first event ends as complete, so that it can be buffered', async () => {
  const { upstream, replying } = await setUp();
  upstream.write(`${ERROR}${ERROR}`);
  const reply = await replying;
  expect(reply).toMatchObject({ status: 503, received: 200, classification: { name: 'any' } });
  expect(reply.committed).toBeUndefined();
  const ends: BodyEnd[] = [];
  reply.body.onEnd((end) => ends.push(end));
  upstream.end();
  expect(ends).toEqual(['complete']);
  const client = new Client();
  reply.body.pipeTo(client);
  expect(client).toMatchObject({ writes: [`${ERROR}${ERROR}`], ended: true });
});

test.each([
  [503, false, 'failed'],
  [503, true, 'throttled'],
  [400, false, 'complete'],
] as const)('a later error event of status %i, throttled: %s, ends as %s', async (status, throttled, end) => {
  const errors = OPTIONS.errors.map((rule) => ({ ...rule, status, throttled }));
  const { upstream, client, ends, call } = await flowing({ errors });
  upstream.write(ERROR);
  upstream.end();
  expect(ends).toEqual([end]);
  expect(client).toMatchObject({ ended: true, broken: undefined });
  expect(noted(call.entries, 'stream')).toEqual(['error_event']);
  expect(noted(call.entries, 'stream_error')).toEqual(['any']);
});

test('the first of several later error events counts', async () => {
  const [any] = OPTIONS.errors as [StreamErrorRule];
  const errors = [{ ...any, events: ['limit'], name: 'limit', throttled: true }, any];
  const { upstream, ends, call } = await flowing({ errors });
  upstream.write(`${ERROR}event: limit\ndata: {}\n\n`);
  upstream.end();
  expect(ends).toEqual(['failed']);
  expect(noted(call.entries, 'stream_error')).toEqual(['any']);
});

test('a stream ends as incomplete without the event that ends it, unless its first event was an error', async () => {
  const done = [{ events: ['end'], data: [], body: [], text: [] }];
  const whole = await flowing({ done });
  whole.upstream.end();
  expect(whole.ends).toEqual(['incomplete']);
  const failed = await setUp({ done });
  failed.upstream.write(ERROR);
  const ends: BodyEnd[] = [];
  (await failed.replying).body.onEnd((end) => ends.push(end));
  failed.upstream.end();
  expect(ends).toEqual(['complete']);
});

test('the time to the first event is no gap', async () => {
  const { upstream, replying, clock, call } = await setUp();
  await clock.advance(900);
  upstream.write(FIRST);
  (await replying).body.pipeTo(new Client());
  await clock.advance(300);
  upstream.end();
  expect(noted(call.entries, 'longest_gap')).toEqual([300]);
});

test('a discarded stream is aborted at once, and has no result', async () => {
  const { upstream, reply, ends, call, clock } = await flowing();
  reply.body.discard();
  expect(upstream).toMatchObject({ discarded: true });
  expect(upstream.aborted).toBeDefined();
  expect(ends).toEqual(['discarded']);
  expect(noted(call.entries, 'stream')).toEqual([]);
  expect(clock.pending).toBe(0);
  expect(call.signal.listenerCount).toBe(0);
});

test.each([
  ['discarded', ({ body }: Reply) => body.discard()],
  ['sent to a client that has left', ({ body }: Reply) => body.pipeTo(left())],
])('held bytes are freed if the stream is %s', async (_, end) => {
  const { upstream, replying, memory } = await setUp();
  upstream.write(FIRST);
  end(await replying);
  expect(upstream.discarded).toBe(true);
  expect(memory.used).toBe(0);
});

function left(): Client {
  const client = new Client();
  client.destroyed = true;
  return client;
}

test('an attempt that lost to another one has no result', async () => {
  const { upstream, replying, call } = await setUp();
  const lost = new ProxyError('hedge_lost', 'lost', { sent: 'sent_unknown' });
  call.signal.abort(lost);
  upstream.abort(lost);
  await expect(replying).rejects.toBe(lost);
  expect(noted(call.entries, 'stream')).toEqual([]);
});

test('a stream that ends because the proxy shuts down has no result', async () => {
  const { upstream, call, ends } = await flowing();
  const draining = new ProxyError('draining', 'the proxy is shutting down', { sent: 'sent_unknown' });
  call.signal.abort(draining);
  upstream.abort(draining);
  expect(ends).toEqual(['broken']);
  expect(noted(call.entries, 'stream')).toEqual([]);
});

test('a client that leaves is noted before its upstream has ended', async () => {
  const { call, clock } = await flowing();
  await clock.advance(100);
  call.signal.abort(new ProxyError('client_gone', 'left'));
  expect(noted(call.entries, 'stream')).toEqual(['client_gone']);
  expect(noted(call.entries, 'events')).toEqual([1]);
});

test('a break after the client has left is no failure of the upstream', async () => {
  const { upstream, client, ends, call } = await flowing();
  client.destroyed = true;
  upstream.abort(new ProxyError('connection_terminated', 'reset', { sent: 'sent_unknown' }));
  expect(noted(call.entries, 'stream')).toEqual(['client_gone']);
  expect(ends).toEqual(['discarded']);
});

const DONE = [{ events: ['end'], data: [], body: [], text: [] }];
const RESET = new ProxyError('connection_terminated', 'reset', { sent: 'sent_unknown' });

test('a break after the event that ends a stream is passed on, and no failure of the stream', async () => {
  const { upstream, client, ends, call } = await flowing({ done: DONE });
  upstream.write('event: end\ndata: 1\n\n');
  upstream.abort(RESET);
  expect(noted(call.entries, 'stream')).toEqual(['complete']);
  expect(ends).toEqual(['broken_after_done']);
  expect(client).toMatchObject({ broken: RESET, ended: false });
});

test('a break after an error event and the end of a stream is a broken stream', async () => {
  const { upstream, ends, call } = await flowing({ done: DONE });
  upstream.write(`${ERROR}event: end\ndata: 1\n\n`);
  upstream.abort(RESET);
  expect(noted(call.entries, 'stream')).toEqual(['error_event']);
  expect(ends).toEqual(['broken']);
});

test('trailers pass before the end', async () => {
  const { upstream, client } = await flowing();
  upstream.sink?.addTrailers?.([['x-a', '1']]);
  upstream.end();
  expect(client).toMatchObject({ trailers: [['x-a', '1']], ended: true });
});

test('an end before there is a client passes with the bytes', async () => {
  const { upstream, replying } = await setUp();
  upstream.write(FIRST);
  const broken = new ProxyError('connection_terminated', 'reset', { sent: 'sent_unknown' });
  upstream.abort(broken);
  const reply = await replying;
  const client = new Client();
  reply.body.pipeTo(client);
  expect(client).toMatchObject({ writes: [FIRST], broken, ended: false });
});
