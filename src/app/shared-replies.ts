import { LRUCache } from 'lru-cache';
import { Claim, type Claims, type Left } from '../fleet/claims.ts';
import type { Fact } from '../fleet/engine.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { Trailers } from '../http/reply.ts';
import type { SharedClaim, SharedKeys, SharedStanding } from '../policies/dedupe/shared-keys.ts';
import { type Identity, sizeOf, type StoredReply } from '../policies/dedupe/store.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { FactKeys } from './fact-keys.ts';

/** A larger reply stays in this replica: it would hold up the shared store. */
export const MOST_REPLY_BYTES = 1_048_576;

/** Replies that wait for a shared store that is away. The oldest are not written if there are more. */
const MOST_LATE_BYTES = 16 * 1_048_576;

/** The time between two tries to write them. */
const RETRY_MS = 1_000;

/** The result for a reply at the shared store. `late`: written after it was away. */
export type ReplyResult = 'read' | 'written' | 'late' | 'lost' | 'too_large' | 'unreadable';

export interface SharedRepliesDeps {
  readonly clock: Clock;
  readonly keys: FactKeys;
  readonly claims: Claims;
  readonly onResult: (result: ReplyResult) => void;
  /** Replies were written after the store was away. */
  readonly onLate: (replies: number) => void;
}

export interface ReplyScope {
  /** How long a reply is stored. */
  readonly windowMs: number;
  /** Another replica has stored a reply under this id, so that the reply of this one does not count. */
  readonly forget: (id: string) => void;
}

/** A reply that could not be written yet. */
interface Late {
  readonly bytes: number;
  readonly forget: () => void;
  readonly write: () => Promise<Left>;
}

/** Replies of dedupe in the store of the fleet: a fact for each key holds the claim of the first request, then its reply. */
export class SharedReplies {
  readonly #deps: SharedRepliesDeps;
  readonly #late = new LRUCache<string, Late>({
    maxSize: MOST_LATE_BYTES,
    sizeCalculation: ({ bytes }) => bytes,
  });
  #next: Timer | undefined;

  constructor(deps: SharedRepliesDeps) {
    this.#deps = deps;
  }

  /** The keys of one scope. */
  keysFor(scope: ReplyScope): SharedKeys {
    return { claim: (identity, signal) => this.#claim(identity, scope, signal) };
  }

  /** Ends its timer. Replies that wait are lost. */
  close(): void {
    this.#late.clear();
    this.#next?.cancel();
  }

  #writeLater(): void {
    this.#next ??= this.#deps.clock.timer(RETRY_MS, () => void this.#writeLate());
  }

  /** Writes the replies that the store has missed, until it is away again. */
  async #writeLate(): Promise<void> {
    const { onLate, onResult } = this.#deps;
    let written = 0;
    const waiting = [...this.#late.entries()];
    for (const [key, late] of waiting) {
      const left = await late.write();
      if (left === 'away') break;
      this.#late.delete(key);
      if (left === 'written') written++;
      else late.forget();
      onResult(left === 'written' ? 'late' : 'lost');
    }
    if (written > 0) onLate(written);
    this.#next = undefined;
    if (this.#late.size > 0) this.#writeLater();
  }

  async #claim(identity: Identity, scope: ReplyScope, signal: Abort): Promise<SharedStanding> {
    const { claims, keys } = this.#deps;
    const key = `reply:${identity.id}`;
    const text = keys.seal(key, encode({ payload: identity.payload }));
    const watch = claims.watch(key);
    let over: Fact | undefined;
    try {
      for (;;) {
        const taken = await claims.take(key, text, over);
        const found = taken ?? (watch.isClaimed ? undefined : claims.alone(key, text));
        if (found instanceof Claim) return this.#first(found, identity, scope);
        const known = found && this.#known(key, found, identity);
        if (typeof known === 'object') return known;
        over = known === 'unreadable' ? found : undefined;
        if (over === undefined) await watch.change(found, signal);
      }
    } finally {
      watch.end();
    }
  }

  #known(
    key: string,
    { text, leftMs }: Fact,
    { payload }: Identity,
  ): SharedStanding | 'running' | 'unreadable' {
    const { keys, onResult } = this.#deps;
    const content = decode(keys.unseal(key, text));
    if (content === undefined) {
      onResult('unreadable');
      return 'unreadable';
    }
    if (content.payload !== payload) return { kind: 'other_payload' };
    if (content.reply === undefined) return 'running';
    onResult('read');
    return { kind: 'stored', reply: content.reply, leftMs };
  }

  #first(claim: Claim, identity: Identity, scope: ReplyScope): SharedStanding {
    const end: SharedClaim['end'] = async (reply) => {
      if (reply === undefined || sizeOf(reply) > MOST_REPLY_BYTES) {
        if (reply !== undefined) this.#deps.onResult('too_large');
        await claim.release();
        return reply;
      }
      return this.#leave(claim, { ...identity, reply }, scope);
    };
    return {
      kind: 'first',
      claim: {
        get confirmed() {
          return claim.confirmed;
        },
        end,
      },
    };
  }

  async #leave(
    claim: Claim,
    { id, payload, reply }: Identity & { readonly reply: StoredReply },
    { windowMs, forget }: ReplyScope,
  ): Promise<StoredReply | undefined> {
    const { clock, keys, onResult } = this.#deps;
    const text = keys.seal(claim.key, encode({ payload, reply }));
    const endsAt = clock.now() + windowMs;
    const write = async (): Promise<Left> => {
      const leftMs = endsAt - clock.now();
      return leftMs > 0 ? claim.leave(text, leftMs) : 'lost';
    };
    const left = await write();
    if (left === 'away') {
      this.#late.set(claim.key, { bytes: text.length, write, forget: () => forget(id) });
      this.#writeLater();
    } else onResult(left);
    return left === 'lost' ? undefined : reply;
  }
}

/** The format of a fact. Replicas of another version may write another one. */
const FORMAT = 1;

/** The head of a fact, before the body of the reply. */
interface Head {
  readonly format: number;
  readonly payload: string;
  /** Undefined while the first request runs. */
  readonly reply?: {
    readonly status: number;
    readonly statusText: string;
    readonly headers: RawHeaders;
    readonly trailers: Trailers;
  };
}

interface Content {
  readonly payload: string;
  readonly reply?: StoredReply | undefined;
}

const LENGTH_BYTES = 4;

/** The length of the head, the head in JSON, and the body. */
function encode({ payload, reply }: Content): Buffer {
  const { chunks = [], ...rest } = reply ?? {};
  const head = Buffer.from(JSON.stringify({ format: FORMAT, payload, ...(reply && { reply: rest }) }));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, ...chunks]);
}

/** Undefined if it is not readable: another version may write something else. */
function decode(bytes: Buffer | undefined): Content | undefined {
  if (bytes === undefined) return undefined;
  try {
    const bodyAt = LENGTH_BYTES + bytes.readUInt32BE(0);
    const head = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, bodyAt)) as Head;
    if (head.format !== FORMAT) return undefined;
    const { payload, reply } = head;
    return { payload, reply: reply && { ...reply, chunks: [bytes.subarray(bodyAt)] } };
  } catch {
    return undefined;
  }
}
