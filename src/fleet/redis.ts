import { createHash } from 'node:crypto';
import { createClient } from '@redis/client';
import {
  CONNECT_MS,
  type EngineOptions,
  type Fact,
  type FleetEngine,
  type Muster,
  numberOf,
} from './engine.ts';
import type { LeaseReply, LeaseRequest } from './ledger.ts';
import { unlessAborted } from './opening.ts';
import { CLAIM, EXCHANGE, LEASE, MUSTER, READ, WRITE } from './redis-scripts.ts';

/** Commands without an answer. Calls may come in bursts; with more of them, the connection is lost. */
const LONGEST_QUEUE = 10_000;

interface Script {
  readonly text: string;
  readonly sha: string;
}

const scriptOf = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') });

const SCRIPTS = {
  lease: scriptOf(LEASE),
  muster: scriptOf(MUSTER),
  read: scriptOf(READ),
  write: scriptOf(WRITE),
  claim: scriptOf(CLAIM),
  exchange: scriptOf(EXCHANGE),
};

/** Connects to Redis or Valkey. One connection carries commands and messages (RESP3). It never reconnects: its user opens a new one. */
export async function openRedis(options: EngineOptions): Promise<FleetEngine> {
  const { giveUp, onLost, onMessage, prefix, url } = options;
  const client = createClient({
    url,
    RESP: 3,
    name: 'breakwater',
    socket: { connectTimeout: CONNECT_MS, reconnectStrategy: false },
    disableOfflineQueue: true,
    commandsQueueMaxLength: LONGEST_QUEUE,
    // Its user has a timer for each request. A second one costs as much as the rest of a request.
    commandOptions: { timeout: 0 },
  });
  client.on('error', onLost);
  let connected = false;
  client.once('connect', () => {
    connected = true;
    if (giveUp.aborted) client.destroy();
  });
  const opening = async () => {
    await client.connect();
    await client.subscribe(`${prefix}:news`, onMessage);
  };
  try {
    await unlessAborted(opening(), giveUp);
  } catch (error) {
    // A `destroy` while it connects would leave the socket open. `connectTimeout` bounds that time.
    if (connected && client.isOpen) client.destroy();
    throw error;
  }
  return new RedisEngine(client, options);
}

interface ScriptCall {
  readonly keys: string[];
  readonly arguments: string[];
}

/** The commands that are used. */
interface Client {
  readonly isOpen: boolean;
  eval(script: string, call: ScriptCall): Promise<unknown>;
  evalSha(sha: string, call: ScriptCall): Promise<unknown>;
  publish(channel: string, message: string): Promise<unknown>;
  zRem(key: string, member: string): Promise<unknown>;
  destroy(): void;
}

class RedisEngine implements FleetEngine {
  readonly #client: Client;
  readonly #options: EngineOptions;

  constructor(client: Client, options: EngineOptions) {
    this.#client = client;
    this.#options = options;
  }

  async lease(key: string, request: LeaseRequest): Promise<LeaseReply> {
    const { intervalMs, burst, want, need, owed, back, known } = request;
    const numbers = [intervalMs, burst, want, need, owed, back.units, back.end, known.version, known.tat];
    const found = await this.#run(SCRIPTS.lease, [`window:${key}`], numbers.map(String));
    const [now, granted, from, tat, version, holdUntil] = found;
    return {
      now: numberOf(now),
      granted: numberOf(granted),
      from: numberOf(from),
      ledger: { tat: numberOf(tat), version: numberOf(version), holdUntil: numberOf(holdUntil) },
    };
  }

  async muster(replica: string): Promise<Muster> {
    const next = this.#options.newGeneration();
    const [replicas, generation] = await this.#run(
      SCRIPTS.muster,
      ['replicas', 'generation'],
      [replica, next],
    );
    return { replicas: numberOf(replicas), generation: String(generation) };
  }

  async leave(replica: string): Promise<void> {
    await this.#client.zRem(this.#key('replicas'), replica);
  }

  async read(key: string): Promise<Fact | undefined> {
    return factOf(await this.#run(SCRIPTS.read, [`fact:${key}`], []));
  }

  async write(key: string, text: string, ms: number): Promise<void> {
    await this.#run(SCRIPTS.write, [`fact:${key}`], [text, String(ms)]);
  }

  async claim(key: string, text: string, ms: number): Promise<Fact | undefined> {
    return factOf(await this.#run(SCRIPTS.claim, [`fact:${key}`], [text, String(ms)]));
  }

  async exchange(key: string, expected: string, text: string, ms: number): Promise<boolean> {
    const [done] = await this.#run(SCRIPTS.exchange, [`fact:${key}`], [expected, text, String(ms)]);
    return done === 1;
  }

  async publish(message: string): Promise<void> {
    await this.#client.publish(this.#key('news'), message);
  }

  async close(): Promise<void> {
    if (this.#client.isOpen) this.#client.destroy();
  }

  #key(name: string): string {
    return `${this.#options.prefix}:${name}`;
  }

  async #run(
    { sha, text }: Script,
    names: readonly string[],
    parts: readonly string[],
  ): Promise<readonly unknown[]> {
    const { clock } = this.#options;
    const call = {
      keys: names.map((name) => this.#key(name)),
      arguments: [clock === undefined ? '' : String(clock()), ...parts],
    };
    try {
      return (await this.#client.evalSha(sha, call)) as unknown[];
    } catch (error) {
      // A Redis that was restarted does not know the script.
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return (await this.#client.eval(text, call)) as unknown[];
    }
  }
}

function factOf([text, leftMs]: readonly unknown[]): Fact | undefined {
  return typeof text === 'string' ? { text, leftMs: Number(leftMs) } : undefined;
}
