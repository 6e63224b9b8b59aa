import { deepEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import type { Next, Store } from '../../src/durable/store/store.ts';
import { entry, newJob } from './jobs.ts';
import { DEADLINE, Model } from './model.ts';

type Step =
  | { readonly do: 'submit'; readonly route: number; readonly key: number | null; readonly delay: number }
  | { readonly do: 'claim'; readonly owner: string; readonly limit: number }
  | {
      readonly do: 'settle';
      readonly held: number;
      readonly how: 'success' | 'failure' | 'wait' | 'deferral';
      readonly ms: number;
    }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'retry'; readonly which: number; readonly force: boolean }
  | { readonly do: 'pause' | 'resume'; readonly route: number }
  | { readonly do: 'move'; readonly route: number; readonly ms: number; readonly spreadMs: number }
  | { readonly do: 'pass'; readonly ms: number };

const LEASE_MS = 100;
const index = fc.nat({ max: 1_000 });
const ms = fc.integer({ min: 0, max: 150 });
const route = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      route,
      key: fc.option(fc.nat({ max: 1 })),
      delay: ms,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      owner: fc.constantFrom('a', 'b', 'c'),
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      held: index,
      how: fc.constantFrom('success', 'failure', 'wait', 'deferral'),
      ms,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: index }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('retry' as const), which: index, force: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause', 'resume'), route }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), route, ms, spreadMs: ms }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms }) },
);
export const histories: fc.Arbitrary<readonly Step[]> = fc.array(step, { maxLength: 60, size: 'max' });

/** Plays one history against the store and the model. All answers must be equal, and all requests must end. */
export class Player {
  readonly #store: Store;
  readonly #model = new Model();
  readonly #run: string;
  /** All claims ever made, including lost ones, whose owners may still try to settle. */
  readonly #held: { id: string; owner: string; attempt: number }[] = [];
  #now = 1_000;

  constructor(store: Store, run: string) {
    this.#store = store;
    this.#run = run;
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const one of steps) await this.#step(one);
    await this.#compare();
    await this.#finish();
    await this.#compare();
  }

  #step(one: Step): Promise<unknown> {
    switch (one.do) {
      case 'submit':
        return this.#submit(one);
      case 'claim':
        return this.#claim(one.owner, one.limit);
      case 'settle':
        return this.#settle(one);
      case 'cancel':
        return this.#change(
          one.which,
          (id) => this.#store.cancel(id, this.#now, 1e6),
          (id) => this.#model.cancel(id, this.#now),
        );
      case 'retry': {
        const change = { now: this.#now, deadlineAt: DEADLINE, force: one.force };
        return this.#change(
          one.which,
          (id) => this.#store.retry(id, change),
          (id) => this.#model.retry(id, this.#now, one.force),
        );
      }
      case 'pause':
        this.#model.paused.add(this.#route(one.route));
        return this.#store.pause(this.#route(one.route), this.#now);
      case 'resume':
        this.#model.resume(this.#route(one.route), this.#now);
        return this.#store.resume(this.#route(one.route), this.#now);
      case 'move':
        return this.#move(one);
      case 'pass':
        this.#now += one.ms;
        return Promise.resolve();
    }
  }

  async #submit({ route, key, delay }: Extract<Step, { do: 'submit' }>): Promise<void> {
    const id = `req_${this.#run}_${this.#model.jobs.length}`;
    const dueAt = this.#now + delay;
    const more = { route: this.#route(route), orderKey: key === null ? null : `${this.#run} ${key}` };
    await this.#store.submit(newJob(id, { ...more, dueAt, createdAt: this.#now, deadlineAt: DEADLINE }));
    this.#model.submit(id, { ...more, due: dueAt });
  }

  async #claim(owner: string, limit: number): Promise<number> {
    const claim = { owner, now: this.#now, leaseNow: this.#now, leaseMs: LEASE_MS, limit };
    const runningBefore = new Set(
      this.#model.live.filter(({ status }) => status === 'running').map(({ id }) => id),
    );
    const expected = this.#model.claim(claim);
    const given = await this.#store.claim(claim);
    const shape = ({ id, attempt, counted }: { id: string; attempt: number; counted: number }) =>
      `${id} ${attempt} ${counted}`;
    deepEqual(given.map(shape).sort(), expected.map(shape).sort());
    for (const { id, reclaimed, attempt } of given) {
      equal(reclaimed, runningBefore.has(id));
      this.#held.push({ id, owner, attempt });
    }
    const keys = this.#model.live
      .filter(({ status }) => status === 'running')
      .flatMap(({ orderKey, route }) => (orderKey === null ? [] : `${route} ${orderKey}`));
    equal(new Set(keys).size, keys.length);
    return given.length;
  }

  async #settle({ held, how, ms }: Extract<Step, { do: 'settle' }>): Promise<void> {
    const claim = this.#held[held % this.#held.length];
    if (claim === undefined) return;
    const sent = how !== 'deferral';
    const next = this.#next(how, ms);
    const expected = this.#model.settle(claim, next, sent, this.#now);
    const row = sent ? entry(claim.attempt) : undefined;
    const ordered = this.#model.jobs.some(({ id, orderKey }) => id === claim.id && orderKey !== null);
    equal(await this.#store.settle({ ...claim, now: this.#now, entry: row, next, ordered }), expected);
  }

  #next(how: 'success' | 'failure' | 'wait' | 'deferral', ms: number): Next {
    if (how === 'success') return { kind: 'end', status: 'succeeded', purgeAt: 1e6 };
    if (how === 'failure')
      return { kind: 'end', status: 'failed', error: { code: 'exhausted', title: '' }, purgeAt: 1e6 };
    return { kind: 'wait', dueAt: this.#now + ms, reason: 'backoff', counts: how === 'wait' };
  }

  async #change(
    which: number,
    real: (id: string) => Promise<{ kind: string }>,
    allowed: (id: string) => boolean,
  ): Promise<void> {
    const job = this.#model.jobs[which % this.#model.jobs.length];
    if (job === undefined) return;
    const expected = allowed(job.id) ? 'changed' : 'refused';
    equal((await real(job.id)).kind, expected);
  }

  async #move({ route, ms, spreadMs }: Extract<Step, { do: 'move' }>): Promise<void> {
    const until = this.#now + ms;
    const expected = this.#model.moveDue(this.#route(route), until, spreadMs);
    equal(
      await this.#store.moveDue({
        route: this.#route(route),
        until,
        now: this.#now,
        spreadMs,
        reason: 'breaker_open',
      }),
      expected,
    );
  }

  /** All owners have died; one new owner runs everything to its end. */
  async #finish(): Promise<void> {
    for (const route of [0, 1]) await this.#step({ do: 'resume', route });
    this.#now += 10_000;
    for (let first = this.#held.length; (await this.#claim('heir', 50)) > 0; first = this.#held.length)
      for (let held = first; held < this.#held.length; held++)
        await this.#settle({ do: 'settle', held, how: 'success', ms: 0 });
    deepEqual(this.#model.live, []);
  }

  /** Each request is as in the model, and each ended request has ended once. */
  async #compare(): Promise<void> {
    const jobs = await Promise.all(this.#model.jobs.map(({ id }) => this.#store.get(id)));
    const stored = jobs.map(
      (job) =>
        job && {
          id: job.id,
          status: job.status,
          attempt: job.attempt,
          counted: job.counted,
          owner: job.owner,
        },
    );
    deepEqual(
      stored,
      this.#model.jobs.map(({ id, status, attempt, counted, owner }) => ({
        id,
        status,
        attempt,
        counted,
        owner,
      })),
    );
    const wakes = this.#model.live
      .filter(({ route, status }) => status === 'running' || !this.#model.paused.has(route))
      .map(({ wake }) => wake);
    const next = Math.min(...wakes);
    equal(await this.#store.nextDueAt(), Number.isFinite(next) ? next : undefined);
    for (const job of this.#model.jobs) equal(job.ends <= 1, true);
  }

  #route(n: number): string {
    return `${this.#run} route ${n}`;
  }
}
