import { expect, test } from 'vitest';
import { QuotaMemories } from '../../src/app/quota-memory.ts';
import type { StoredNote } from '../../src/durable/store/notes.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { RawHeaders } from '../../src/http/headers.ts';
import { GENERIC_FORMATS } from '../../src/http/rate-limit.ts';
import type { Seer } from '../../src/policies/quota/cooldown.ts';
import { learningOf, type QuotaOptions, type QuotaWindow } from '../../src/policies/quota/options.ts';
import { quotaPolicies } from '../../src/policies/quota/policy.ts';
import { Quota } from '../../src/policies/quota/quota.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { sending, settled, stubCall, stubReply, through } from '../support/stub-call.ts';

const DAY = 24 * 3_600_000;

const daily: QuotaWindow = { name: '10/d', limit: 10, periodMs: DAY, burst: undefined, counts: 'calls' };

const OPTIONS: QuotaOptions = {
  mode: 'on',
  windows: [],
  cost: { fixed: 1, header: undefined, pointer: undefined, reply: [] },
  scope: 'auto',
  learn: true,
  formats: GENERIC_FORMATS,
  credentialHeaders: ['authorization'],
  queue: 1_000,
  waitMs: 1_000,
};

interface Answer {
  readonly status: number;
  readonly headers?: RawHeaders;
}

/** A machine on which one process follows another. Its wall clock can be set. */
class Machine {
  readonly notes = new Map<string, string>();
  /** A process begins with a monotonic clock of its own. */
  clock = new MachineClock(0);
  /** How often the store was written. */
  writes = 0;
  broken = false;
  stuck = false;
  readonly sent: string[] = [];
  answer: (target: string) => Answer = () => ({ status: 200 });
  readonly #store = {
    secret: async () => 'c0ffee',
    notes: (most: number) =>
      this.stuck
        ? new Promise<never>(() => {})
        : Promise.resolve(Array.from(this.notes, ([name, text]) => ({ name, text })).slice(0, most)),
    writeNotes: async (notes: readonly StoredNote[]) => {
      if (this.broken) throw new Error('disk full');
      this.writes++;
      for (const { name, text } of notes) {
        if (text === undefined) this.notes.delete(name);
        else this.notes.set(name, text);
      }
    },
  };

  async process(changes: Partial<QuotaOptions> = {}, origin = 'https://api.example.com') {
    const { clock } = this;
    const logged: string[] = [];
    const log = (_fields: object, text: string) => void logged.push(text);
    const memories = new QuotaMemories({ clock, logger: { info: log, warn: log } });
    const options = { ...OPTIONS, ...changes };
    const cooldowns: Seer[] = [];
    let recalled = 0;
    const quota = new Quota(options, {
      clock,
      random: seededRandom(1),
      hash: (text) => text,
      draining: new Abort(),
      onCooldown: (_start, seenBy) => cooldowns.push(seenBy),
      onRecall: () => void recalled++,
      memory: memories.of({ name: 'api', origin, account: [] }, learningOf(options)),
    });
    const opened = memories.open(this.#store);
    if (this.stuck) await clock.advance(2_000);
    await opened;
    const { outer, inner } = quotaPolicies(quota, { clock, memory: new ByteBudget(0) });
    const send = sending(
      through([outer, inner], async (call) => {
        this.sent.push(call.target);
        const { headers, status } = this.answer(call.target);
        return stubReply(status, headers);
      }),
    );
    return {
      memories,
      quota,
      cooldowns,
      logged,
      recalled: () => recalled,
      /** Its status, or `refused`, or `waits`. */
      ask: async (target = '/x', headers: RawHeaders = ['Authorization', 'key']) => {
        const reply = send(stubCall({ headers, target, deadline: 1e12 })).then(
          ({ status }) => status,
          () => 'refused' as const,
        );
        await settled();
        return Promise.race([reply, Promise.resolve('waits' as const)]);
      },
    };
  }

  /** A second passes, and the process ends without notice. The next one starts `downMs` later, and its wall clock shows `setMs` more. */
  async kill(downMs: number, setMs = 0): Promise<void> {
    await this.clock.advance(1_000);
    await settled();
    this.clock = new MachineClock(this.clock.wallTime() + downMs + setMs - Date.UTC(2026, 0, 1));
  }
}

class MachineClock extends FakeClock {
  offset: number;

  constructor(offset: number) {
    super();
    this.offset = offset;
  }

  override wallTime(): number {
    return super.wallTime() + this.offset;
  }
}

async function times<T>(count: number, ask: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let i = 0; i < count; i++) all.push(await ask());
  return all;
}

const daytime = { windows: [daily] };

test('units of a day that an earlier process used still count, as far as they have not been refilled', async () => {
  const machine = new Machine();
  const first = await machine.process(daytime);
  expect(await times(10, first.ask)).toEqual(Array(10).fill(200));
  expect(await first.ask()).toBe('refused');
  await machine.kill(0);
  const second = await machine.process(daytime);
  expect(await second.ask()).toBe('refused');
  expect(second.recalled()).toBe(1);
  // Half a day refills five.
  await machine.kill(DAY / 2);
  const third = await machine.process(daytime);
  expect(await times(7, third.ask)).toEqual([200, 200, 200, 200, 200, 'refused', 'refused']);
});

test('nothing counts after its end', async () => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(DAY);
  const { ask, recalled } = await machine.process(daytime);
  expect(machine.notes.size).toBe(0);
  expect(await times(10, ask)).toEqual(Array(10).fill(200));
  expect(recalled()).toBe(0);
});

test('a clock that was set back makes nothing last longer than it did', async () => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(0, -30 * DAY);
  const { ask, quota } = await machine.process(daytime);
  expect(await ask()).toBe('refused');
  for (const [, queue] of quota.queues)
    expect(queue.quota.whole.windows[0]?.tokens.resetMs(machine.clock.now())).toBe(DAY - 1_000);
});

test('a clock that is set while the process runs moves what was written before', async () => {
  const machine = new Machine();
  const { ask } = await machine.process(daytime);
  await times(10, ask);
  await machine.clock.advance(1_000);
  machine.clock.offset += 30 * DAY;
  // A call of another credential is what is written.
  await ask('/x', ['Authorization', 'other']);
  await machine.kill(0);
  expect(await (await machine.process(daytime)).ask()).toBe('refused');
});

test('other credentials and another host do not inherit anything', async () => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(0);
  const same = await machine.process(daytime);
  expect(await same.ask('/x', ['Authorization', 'other'])).toBe(200);
  expect(await (await machine.process(daytime, 'https://other.example.com')).ask()).toBe(200);
  expect(await same.ask()).toBe('refused');
});

test.each<[string, Partial<QuotaOptions>, passed: number]>([
  ['another wait', { waitMs: 2_000 }, 0],
  ['a higher limit', { windows: [{ ...daily, limit: 12 }] }, 2],
  ['a lower limit', { windows: [{ ...daily, limit: 5 }] }, 0],
  ['a window in front of it', { windows: [{ ...daily, limit: 12, periodMs: 2 * DAY }, daily] }, 0],
  ['another period', { windows: [{ ...daily, limit: 3, periodMs: 2 * DAY }] }, 3],
  ['another unit', { windows: [{ ...daily, limit: 3, counts: 'cost' }] }, 3],
])('used units count after a restart with %s', async (_change, changes, passed) => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(0);
  const { ask } = await machine.process({ ...daytime, ...changes });
  const answers = await times(4, ask);
  expect(answers.filter((answer) => answer === 200).length).toBe(passed);
});

test('what was learned in another way does not count after a restart, but used units do', async () => {
  const machine = new Machine();
  machine.answer = () => ({ status: 429, headers: ['Retry-After', '600'] });
  await times(3, (await machine.process({ windows: [{ ...daily, limit: 4 }] })).ask);
  await machine.kill(0);
  machine.answer = () => ({ status: 200 });
  const { ask, cooldowns } = await machine.process({ windows: [{ ...daily, limit: 4 }], learn: false });
  expect(await times(2, ask)).toEqual([200, 200]);
  expect(await ask()).toBe('refused');
  expect(cooldowns).toEqual([]);
});

test('a cooldown goes on, and its next call is a probe when that is due', async () => {
  const machine = new Machine();
  machine.answer = () => ({ status: 429, headers: ['Retry-After', '600'] });
  const first = await machine.process();
  await times(2, first.ask);
  expect(first.cooldowns).toEqual(['this']);
  await machine.kill(60_000);
  const second = await machine.process();
  machine.sent.length = 0;
  // The process that was killed had not probed for a minute, so a probe is due.
  expect(await second.ask()).toBe(429);
  expect(second.cooldowns).toEqual(['before']);
  // It was refused, so calls wait for the next one.
  expect(await times(3, second.ask)).toEqual(Array(3).fill('waits'));
  expect(machine.sent.length).toBe(1);
  // A probe that is answered ends it.
  machine.answer = () => ({ status: 200 });
  await machine.clock.advance(30_000);
  expect(await times(2, second.ask)).toEqual([200, 200]);
  await machine.kill(0);
  expect((await machine.process()).quota.isUntracked).toBe(true);
});

test('a stated limit counts on, for the calls that it is about', async () => {
  const machine = new Machine();
  const [format] = GENERIC_FORMATS.slice(-2);
  const named = { formats: format === undefined ? [] : [{ ...format, resource: 'x-ratelimit-resource' }] };
  const headers = ['X-RateLimit-Limit', '5', 'X-RateLimit-Remaining', '2', 'X-RateLimit-Reset', '3600'];
  machine.answer = () => ({ status: 200, headers: [...headers, 'X-RateLimit-Resource', 'core'] });
  await (await machine.process(named)).ask('/x');
  await machine.kill(60_000);
  machine.answer = () => ({ status: 200 });
  const { ask, quota } = await machine.process(named);
  await ask('/x');
  const [[, queue] = []] = quota.queues;
  expect(queue?.quota.limiterFor('GET /x').scope).toBe('resource core');
  const now = machine.clock.now();
  const meters = [...(queue?.quota.parts ?? [])].map(
    ([
      scope,
      {
        meters: [meter],
      },
    ]) => [scope, meter?.limit, meter?.remaining(now), meter?.resetMs(now)],
  );
  // A second before the process was killed, and a minute after that.
  expect(meters).toEqual([['resource core', 5, 1, 3_600_000 - 61_000]]);
});

test('what ends within a minute is not written', async () => {
  const machine = new Machine();
  machine.answer = () => ({ status: 429, headers: ['Retry-After', '30'] });
  const minute = { ...daily, name: '10/m', periodMs: 60_000 };
  const { ask } = await machine.process({ windows: [minute] });
  await times(8, ask);
  await machine.kill(0);
  expect([machine.writes, machine.notes.size]).toEqual([0, 0]);
});

test('it is written once a second at most, and not while nothing changes', async () => {
  const machine = new Machine();
  const { ask } = await machine.process(daytime);
  await times(5, ask);
  expect(machine.writes).toBe(0);
  await machine.clock.advance(1_000);
  await settled();
  expect(machine.writes).toBe(1);
  await machine.clock.advance(60_000);
  expect(machine.writes).toBe(1);
});

test('the rest is written when the process ends', async () => {
  const machine = new Machine();
  const { ask, memories } = await machine.process(daytime);
  await times(10, ask);
  await memories.close();
  expect(await (await machine.process(daytime)).ask()).toBe('refused');
});

test('a reset by an operator forgets it on disk, also of credentials that this process has not met', async () => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(0);
  const second = await machine.process(daytime);
  expect(machine.notes.size).toBe(1);
  second.quota.reset();
  await settled();
  expect(machine.notes.size).toBe(0);
  expect(await second.ask()).toBe(200);
});

test('the store has neither the credential nor a text that can be tested without its secret', async () => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(0);
  const stored = JSON.stringify([...machine.notes]);
  expect(stored).not.toMatch(/key|authorization|example/i);
  expect([...machine.notes.keys()]).toEqual([expect.stringMatching(/^[\w-]{22}\.[\w-]{22}$/)]);
});

test('a store that does not answer delays the start by two seconds, and calls pass', async () => {
  const machine = new Machine();
  machine.stuck = true;
  const { ask, logged, memories } = await machine.process(daytime);
  expect(logged).toEqual(['quotas are not remembered: what the store knows could not be read']);
  expect(await ask()).toBe(200);
  expect(memories.snapshot()).toBeUndefined();
});

test('a store that cannot be written is said once, and tried again', async () => {
  const machine = new Machine();
  machine.broken = true;
  const { ask, logged, memories } = await machine.process(daytime);
  await times(10, ask);
  for (let second = 0; second < 3; second++) {
    await machine.clock.advance(1_000);
    await settled();
  }
  expect(logged).toEqual(['quotas are not remembered: the store of durable requests could not be written']);
  expect(memories.snapshot()).toEqual({ credentials: 1, unwritten: 1, failing: true });
  machine.broken = false;
  await machine.kill(0);
  expect(logged.at(-1)).toBe('quotas are remembered again');
  expect(memories.snapshot()).toEqual({ credentials: 1, unwritten: 0, failing: false });
  expect(await (await machine.process(daytime)).ask()).toBe('refused');
});

test.each([
  ['', 'no JSON'],
  ['[]', 'an empty list'],
  ['[1e15,{"debts":["x",null],"reports":[["",{"name":"active"}]],"scopes":[[1]]}]', 'parts of other kinds'],
  ['[1e15,{"debts":[1e300],"reports":[],"scopes":[]}]', 'a debt without an end'],
])('%s in the store (%s) holds no call for longer than the window', async (text) => {
  const machine = new Machine();
  await times(10, (await machine.process(daytime)).ask);
  await machine.kill(0);
  for (const name of machine.notes.keys()) machine.notes.set(name, text);
  const { ask, quota } = await machine.process(daytime);
  await ask();
  for (const [, queue] of quota.queues)
    expect(queue.quota.whole.windows[0]?.tokens.resetMs(machine.clock.now())).toBeLessThanOrEqual(DAY);
});
