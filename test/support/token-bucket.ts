import { quotaFormats } from '../../src/config/keys/quota-formats.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { Reply } from '../../src/http/reply.ts';
import { quotaPolicies } from '../../src/policies/quota/policy.ts';
import { Quota } from '../../src/policies/quota/quota.ts';
import { anthropic } from '../../src/presets/anthropic.ts';
import { openai } from '../../src/presets/openai.ts';
import { Abort } from '../../src/runtime/abort.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { VirtualClock } from '../../src/simulate/virtual-clock.ts';
import { seededRandom } from './seeded-random.ts';
import { sending, stubCall, stubReply, through } from './stub-call.ts';

export type Family = 'anthropic' | 'openai';

/** The state of a bucket, as its headers state it; undefined: they do not. */
export interface Stated {
  readonly limit: number | undefined;
  readonly remaining: number;
  /** Until the bucket is full. */
  readonly fullMs: number | undefined;
}

const dateOf = (ms: number): string =>
  `${new Date(Math.ceil(ms / 1_000) * 1_000).toISOString().slice(0, 19)}Z`;

/** The headers of both APIs: a date in whole seconds, or a duration of Go. */
const FIELDS: Readonly<
  Record<Family, (stated: Stated, wallMs: number) => (readonly [string, string | undefined])[]>
> = {
  anthropic: ({ limit, remaining, fullMs }, wallMs) => [
    ['anthropic-ratelimit-requests-limit', limit?.toString()],
    ['anthropic-ratelimit-requests-remaining', String(remaining)],
    ['anthropic-ratelimit-requests-reset', fullMs === undefined ? undefined : dateOf(wallMs + fullMs)],
  ],
  openai: ({ limit, remaining, fullMs }) => [
    ['x-ratelimit-limit-requests', limit?.toString()],
    ['x-ratelimit-remaining-requests', String(remaining)],
    ['x-ratelimit-reset-requests', fullMs === undefined ? undefined : `${Math.ceil(fullMs)}ms`],
  ],
};

export function bucketHeaders(family: Family, stated: Stated, wallMs: number): Record<string, string> {
  return Object.fromEntries(
    FIELDS[family](stated, wallMs).filter(
      (field): field is readonly [string, string] => field[1] !== undefined,
    ),
  );
}

/** A token bucket of `size`, which gets a token back every `unitMs`. It is full at first. */
export class Bucket {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #size: () => number;
  readonly #unitMs: number;
  #left: number;
  #at = 0;

  constructor(clock: Pick<Clock, 'now'>, size: () => number, unitMs: number) {
    this.#clock = clock;
    this.#size = size;
    this.#unitMs = unitMs;
    this.#left = size();
  }

  take(): { readonly allowed: boolean; readonly stated: Stated; readonly retryAfter: string } {
    const now = this.#clock.now();
    const size = this.#size();
    this.#left = Math.min(size, this.#left + (now - this.#at) / this.#unitMs);
    this.#at = now;
    const allowed = this.#left >= 1;
    if (allowed) this.#left--;
    const stated = {
      limit: size,
      remaining: Math.floor(this.#left),
      fullMs: (size - this.#left) * this.#unitMs,
    };
    return { allowed, stated, retryAfter: String(Math.ceil(((1 - this.#left) * this.#unitMs) / 1_000)) };
  }
}

export interface BucketWorld {
  readonly family: Family;
  /** Calls arrive so often, after a burst of 30. */
  readonly everyMs: number;
  /** Processes that share the bucket and know nothing of each other. */
  readonly replicas?: number;
  /** The size at a time. */
  readonly size?: (now: number) => number;
  /** A lie: other values in the headers. */
  readonly states?: (stated: Stated) => Partial<Stated>;
  /** The API accepts every call. */
  readonly unlimited?: boolean;
  /** A refusal does not say how long to wait. */
  readonly silent?: boolean;
  /** Replies have no Date, so dates in headers are compared with the local clock. */
  readonly undated?: boolean;
  /** From request to reply. */
  readonly latencyMs?: (random: () => number) => number;
}

export interface BucketResult {
  /** Calls that the upstream accepted, and those that it refused. */
  readonly served: number;
  readonly refused: number;
  /** Waits of the calls after the burst, in milliseconds, without the time of the upstream. */
  readonly longestWaitMs: number;
}

const SIZE = 30;
const UNIT_MS = 1_000;
const BURST_AT_MS = 1_000;
const END_MS = 180_000;

/** Runs three minutes in virtual time against a bucket of 30 with one token back a second. Refusals are not retried. */
export async function runBucket(world: BucketWorld): Promise<BucketResult> {
  const { replicas = 1, everyMs } = world;
  const clock = new VirtualClock();
  const random = seededRandom(1);
  const bucket = new BucketUpstream(world, clock, random);
  const sends = Array.from({ length: replicas }, () => replica(world.family, clock, random, bucket));
  const waits: number[] = [];
  let calls = 0;
  const call = (measured: boolean) => {
    const at = clock.now();
    const asked = stubCall({ deadline: at + 600_000, method: 'POST', target: '/v1/messages' });
    const record = () => void (measured && waits.push(clock.now() - at));
    sends[calls++ % replicas]?.(asked).then(record, record);
  };
  for (let n = 0; n < SIZE; n++) clock.timer(BURST_AT_MS, () => call(false));
  for (let at = BURST_AT_MS + 2_000; at < END_MS; at += everyMs) clock.timer(at, () => call(true));
  await clock.run(END_MS);
  const { served, refused } = bucket;
  return {
    served,
    refused,
    longestWaitMs: Math.max(0, ...waits) - (world.latencyMs?.(() => 1) ?? LATENCY_MS),
  };
}

const LATENCY_MS = 200;

class BucketUpstream {
  served = 0;
  refused = 0;
  readonly #world: BucketWorld;
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #bucket: Bucket;

  constructor(world: BucketWorld, clock: VirtualClock, random: () => number) {
    this.#world = world;
    this.#clock = clock;
    this.#random = random;
    this.#bucket = new Bucket(clock, () => world.size?.(clock.now()) ?? SIZE, UNIT_MS);
  }

  /** The bucket counts a call half way through its time. */
  readonly send = (): Promise<Reply> =>
    new Promise((resolve) => {
      const halfMs = (this.#world.latencyMs?.(this.#random) ?? LATENCY_MS) / 2;
      this.#clock.timer(halfMs, () => {
        const reply = this.#answer();
        this.#clock.timer(halfMs, () => {
          resolve(reply);
          reply.body.end('complete');
        });
      });
    });

  #answer() {
    const { family, silent, states, undated, unlimited } = this.#world;
    const { allowed, stated, retryAfter } = this.#bucket.take();
    const wallMs = this.#clock.wallTime();
    const passes = allowed || unlimited === true;
    if (passes) this.served++;
    else this.refused++;
    const fields = {
      ...(undated !== true && { date: new Date(wallMs).toUTCString() }),
      ...bucketHeaders(family, { ...stated, ...states?.(stated) }, wallMs),
      ...(!passes && silent !== true && { 'retry-after': retryAfter }),
    };
    return stubReply(passes ? 200 : 429, Object.entries(fields).flat());
  }
}

function replica(family: Family, clock: VirtualClock, random: () => number, upstream: BucketUpstream) {
  const { quota: written } = family === 'anthropic' ? anthropic : openai;
  const quota = new Quota(
    {
      mode: 'on',
      windows: [],
      cost: { fixed: 1, header: undefined, pointer: undefined, reply: [] },
      scope: 'auto',
      learn: true,
      formats: quotaFormats([...(written?.formats ?? [])]) ?? [],
      credentialHeaders: ['authorization'],
      queue: 1_000,
      waitMs: 120_000,
    },
    { clock, random, hash: (text) => text, draining: new Abort(), onCooldown: () => {} },
  );
  const { outer, inner } = quotaPolicies(quota, { clock, memory: new ByteBudget(0) });
  return sending(through([outer, inner], upstream.send));
}
