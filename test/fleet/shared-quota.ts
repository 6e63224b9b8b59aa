import { FleetSide } from '../../src/app/fleet-side.ts';
import type { EngineOptions } from '../../src/fleet/engine.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import type { RawHeaders } from '../../src/http/headers.ts';
import { GENERIC_FORMATS } from '../../src/http/rate-limit.ts';
import { learningOf, type QuotaOptions } from '../../src/policies/quota/options.ts';
import { quotaPolicies } from '../../src/policies/quota/policy.ts';
import { type CooldownStart, Quota } from '../../src/policies/quota/quota.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { connectionTo, FleetStore } from '../../src/simulate/fleet-engine.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { sending, settled, stubCall, stubReply, through } from '../support/stub-call.ts';
import type { Reply } from '../../src/http/reply.ts';
import { shuttingDown } from '../../src/proxy/errors.ts';
import type { Send } from '../../src/proxy/pipeline.ts';

const OPTIONS: QuotaOptions = {
  mode: 'on',
  windows: [],
  cost: { fixed: 1, header: undefined, pointer: undefined, reply: [] },
  scope: 'credential',
  learn: true,
  formats: GENERIC_FORMATS,
  credentialHeaders: ['authorization'],
  queue: 1_000,
  waitMs: Infinity,
};

export interface Sent {
  readonly at: number;
  readonly replica: number;
  readonly status: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: RawHeaders;
  readonly classification?: NonNullable<Reply['classification']>;
}

/** One replica: its side of the store, and the quota of one upstream. */
export interface QuotaReplica {
  readonly fleet: FleetSide;
  readonly quota: Quota;
  /** Cooldowns that started, and whether another replica has reported them. */
  readonly cooldowns: { readonly remote: boolean; readonly cause: string }[];
  /** Leases for probes: granted or not. */
  readonly leases: boolean[];
  readonly logged: string[];
  /** Sends a call. Rejects if it is refused. */
  readonly send: (headers?: RawHeaders, target?: string) => Promise<Reply>;
  /** Ends all waits. */
  readonly drain: () => void;
}

/** Replicas with one upstream and one store, in virtual time. */
export class SharedQuotaWorld {
  readonly clock = new FakeClock();
  /** The clock of the store is far from that of the replicas. */
  readonly store = new FleetStore(() => 1e12 + this.clock.now());
  readonly sent: Sent[] = [];
  /** The messages that replicas sent to each other. */
  readonly messages: string[] = [];
  storeMs = 1;
  storeGone = false;
  /** How long the upstream takes. */
  upstreamMs = 10;
  answer: (now: number, replica: number) => Answer = () => ({ status: 200 });
  readonly random = seededRandom(1);
  readonly #lost: EngineOptions['onLost'][] = [];
  #count = 0;

  constructor() {
    this.store.listen((message) => this.messages.push(message));
  }

  async replica(changes: Partial<QuotaOptions> = {}, secret?: string): Promise<QuotaReplica> {
    const { clock, random } = this;
    const index = this.#count++;
    const logged: string[] = [];
    const log = (_fields: object, text: string) => void logged.push(text);
    const fleet = new FleetSide(
      { store: 'redis://store', name: 'test', replicas: 3, secret },
      {
        clock,
        random,
        logger: { info: log, warn: log },
        observer: { stateChanged: () => undefined },
        real: () => clock.now(),
        open: async ({ onLost, onMessage }) => {
          if (this.storeGone) throw new Error('connect ECONNREFUSED');
          this.#lost.push(onLost);
          return connectionTo(this.store, onMessage, async (pass) => {
            await clock.sleep(this.storeMs, new Abort());
            if (this.storeGone) throw new Error('gone');
            return pass();
          });
        },
      },
    );
    const started = fleet.start();
    await settled();
    await clock.advance(this.storeMs);
    await started;
    const options = { ...OPTIONS, ...changes };
    const cooldowns: { remote: boolean; cause: string }[] = [];
    const leases: boolean[] = [];
    const draining = new Abort();
    const quota = new Quota(options, {
      clock,
      random,
      hash: (text) => text,
      draining,
      onCooldown: ({ cause }: CooldownStart, seenBy) =>
        cooldowns.push({ remote: seenBy === 'replica', cause }),
      onProbeLease: (granted) => leases.push(granted),
      shared:
        options.mode === 'on'
          ? fleet.credentialsOf(
              { name: 'api', origin: 'https://api.example.com', account: [] },
              learningOf(options),
            )
          : undefined,
    });
    const { outer, inner } = quotaPolicies(quota, { clock, memory: new ByteBudget(0) });
    const upstream: Send = async () => {
      const answer = this.answer(clock.now(), index);
      this.sent.push({ at: clock.now(), replica: index, status: answer.status });
      await clock.sleep(this.upstreamMs, new Abort());
      const reply = stubReply(answer.status, answer.headers);
      return answer.classification === undefined
        ? reply
        : { ...reply, classification: answer.classification };
    };
    const send = sending(through([outer, inner], upstream));
    return {
      fleet,
      quota,
      cooldowns,
      leases,
      logged,
      drain: () => draining.abort(shuttingDown()),
      send: (headers = ['Authorization', 'key'], target = '/x') =>
        send(stubCall({ headers, target, deadline: 1e12 })),
    };
  }

  async replicas(count: number, changes: Partial<QuotaOptions> = {}): Promise<QuotaReplica[]> {
    const all: QuotaReplica[] = [];
    for (let i = 0; i < count; i++) all.push(await this.replica(changes));
    return all;
  }

  /** The connections to the store end, and no new one is possible. */
  cut(): void {
    this.storeGone = true;
    for (const onLost of this.#lost.splice(0)) onLost(new Error('the connection ended'));
  }

  /** Sends calls one after another until the replica has a cooldown. */
  async close({ quota, send }: QuotaReplica): Promise<void> {
    for (let i = 0; i < 10 && !isHeld({ quota }); i++) {
      send().catch(() => undefined);
      await this.clock.advance(this.upstreamMs + 2 * this.storeMs);
      await settled();
    }
  }

  /** Passes time in small steps, so that what waits for others can go on. */
  async pass(ms: number, stepMs = 5): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      await this.clock.advance(Math.min(stepMs, left));
      await settled();
    }
  }
}

/** Offers calls at these rates, one for each replica, whether they are refused or not. */
export async function offerCalls(
  world: SharedQuotaWorld,
  replicas: readonly QuotaReplica[],
  rates: readonly number[],
  { ms, stepMs = 5 }: { readonly ms: number; readonly stepMs?: number },
): Promise<void> {
  const begun = world.clock.now();
  const sent = rates.map(() => 0);
  for (let at = 0; at < ms; at += stepMs) {
    for (const [i, { send }] of replicas.entries())
      while ((sent[i] ?? 0) < ((rates[i] ?? 0) * (world.clock.now() - begun)) / 1_000) {
        sent[i] = (sent[i] ?? 0) + 1;
        send().catch(() => undefined);
      }
    await world.pass(stepMs, stepMs);
  }
}

/** Whether calls of one credential of the replica are held back by a cooldown. */
export const isHeld = ({ quota }: Pick<QuotaReplica, 'quota'>): boolean =>
  [...quota.queues].some(([, queue]) =>
    [queue.quota.whole, ...[...queue.quota.parts].map(([, part]) => part)].some(
      ({ cooldown }) => cooldown.isActive,
    ),
  );
