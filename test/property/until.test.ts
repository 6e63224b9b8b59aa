import fc from 'fast-check';
import { expect, test } from 'vitest';
import { refusalOf } from '../../src/durable/refusal.ts';
import type { StoredResponse } from '../../src/durable/job.ts';
import type { Classification } from '../../src/durable/route.ts';
import type { PollState } from '../../src/durable/until/state.ts';
import { afterAttempt } from '../../src/durable/until/step.ts';
import { parsePointer } from '../../src/http/json-pointer.ts';
import { ProxyError } from '../../src/proxy/errors.ts';
import { seededRandom } from '../support/seeded-random.ts';

/* The two loops: the retry rules count consecutive errors; polling is limited by time only. */

const ATTEMPTS = 4;
const MIN_MS = 2_000;
const MAX_MS = 60_000;
const DEADLINE = 3_600_000;
const RETENTION = 1_000;
const BACKOFF_MS = 1_000;

const poll = {
  conditions: {
    success: [
      {
        subject: { kind: 'json', pointer: parsePointer('/s') ?? [], test: { equals: 'done' }, items: 'any' },
      },
    ],
    failure: [],
  },
  delay: { minMs: MIN_MS, maxMs: MAX_MS },
  target: undefined,
} as const;

const reply = (body: string, headers: string[] = []): StoredResponse => ({
  status: 200,
  statusText: 'OK',
  headers,
  body: Buffer.from(body),
  truncated: false,
});

type Event =
  | { readonly kind: 'pending'; readonly s: number; readonly asks: number }
  | { readonly kind: 'error' | 'refused' };

const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constant('pending' as const), s: fc.nat(2), asks: fc.nat(200) }),
  fc.record({ kind: fc.constantFrom('error' as const, 'refused' as const) }),
);

/** Classifies as the retry rules of a route, and counts as the store. */
class World {
  now = 0;
  counted = 0;
  before: PollState | undefined;
  ended = false;
  readonly random = seededRandom(7);

  step(happens: Event) {
    const classification = this.#classification(happens);
    const outcome = { kind: 'error', error: new ProxyError('connection_refused', '') } as const;
    const decision = afterAttempt(
      {
        result: {
          outcome,
          method: 'GET',
          repeatable: true,
          attempt: this.counted + 1,
          previousMs: 0,
          now: this.now,
          deadlineAt: DEADLINE,
        },
        classification,
        response:
          happens.kind === 'pending'
            ? reply(
                JSON.stringify({ s: happens.s }),
                happens.asks > 0 ? ['retry-after', `${happens.asks}`] : [],
              )
            : undefined,
        poll,
        before: this.before,
        submitted: undefined,
        targetName: undefined,
      },
      { retentionMs: RETENTION, random: this.random },
    );
    this.before = decision.runnerState?.poll ?? this.before;
    if (decision.next.kind === 'end') this.ended = true;
    else {
      this.counted = (decision.next.resetsCount === true ? 0 : this.counted) + (decision.next.counts ? 1 : 0);
      this.now = decision.next.dueAt;
    }
    return decision;
  }

  #classification({ kind }: Event): Classification {
    if (kind === 'pending') return { kind: 'success' };
    if (kind === 'refused') {
      const error = new ProxyError('breaker_open', '');
      return { kind: 'refused', error, refusal: refusalOf(error) ?? expect.unreachable() };
    }
    if (this.counted + 1 >= ATTEMPTS) return { kind: 'stop', because: 'attempts' };
    if (this.now + BACKOFF_MS >= DEADLINE) return { kind: 'stop', because: 'deadline' };
    return {
      kind: 'retry',
      delayMs: 1_000,
      backoffMs: 1_000,
      asked: false,
      cost: 1,
      reason: 'connection_refused',
    };
  }
}

/** The properties that one step violates. */
function broken(world: World, happens: Event, tally: { errorsInARow: number; polls: number }): string[] {
  const at = world.now;
  const wasPolling = world.before !== undefined;
  const { next } = world.step(happens);
  tally.polls += happens.kind === 'pending' ? 1 : 0;
  if (happens.kind === 'pending') tally.errorsInARow = 0;
  tally.errorsInARow += happens.kind === 'error' ? 1 : 0;
  const exhausted = tally.errorsInARow >= ATTEMPTS;
  const claims: Record<string, boolean> = { 'polls are counted': (world.before?.count ?? 0) === tally.polls };
  if (next.kind === 'end') {
    claims['an end says why'] = next.error?.code === (exhausted ? 'exhausted' : 'deadline');
    claims['nothing ends early'] =
      exhausted || at >= DEADLINE || (!wasPolling && at + BACKOFF_MS >= DEADLINE);
  } else {
    claims['nothing follows the deadline'] = at < DEADLINE && next.dueAt <= DEADLINE;
    claims['errors in a row are counted, and nothing else'] = world.counted === tally.errorsInARow;
    claims['attempts are bounded'] = !exhausted;
    if (happens.kind === 'pending') {
      const waitMs = next.dueAt - at;
      const asked = Math.min(happens.asks * 1_000, MAX_MS);
      const fits = happens.asks > 0 ? waitMs === asked : waitMs >= MIN_MS && waitMs <= MAX_MS;
      claims['a poll waits as long as it should'] = next.dueAt === DEADLINE || fits;
      claims['a poll says so'] = next.reason === 'polling';
    }
  }
  return Object.keys(claims).filter((claim) => claims[claim] === false);
}

test('retries and polls do not use up each other, and nothing begins after the deadline', () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 300, size: 'max' }), (events) => {
      const world = new World();
      const tally = { errorsInARow: 0, polls: 0 };
      for (const happens of events) {
        expect(broken(world, happens, tally)).toEqual([]);
        if (world.ended) return;
      }
    }),
    { numRuns: 300 },
  );
});

test('always pending: it ends at the deadline, with the last poll', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { minLength: 1, maxLength: 20 }), (asks) => {
      const world = new World();
      let tries = 0;
      let at = 0;
      for (let n = 0; !world.ended; n++) {
        at = world.now;
        tries++;
        world.step({ kind: 'pending', s: 0, asks: asks[n % asks.length] ?? 0 });
      }
      expect(at).toBe(DEADLINE);
      expect(world.before).toMatchObject({ count: tries, seen: tries });
    }),
  );
});
