import type { Recording } from '../../http/bodies/recorded-body.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import { headersOf } from '../../http/headers.ts';
import { isSafe } from '../../http/methods.ts';
import type { Reply } from '../../http/reply.ts';
import { isFailing } from '../../http/status.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { CacheResult } from '../../proxy/notes.ts';
import type { Policy, Send } from '../../proxy/pipeline.ts';
import { withTimeout } from '../../proxy/with-timeout.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import { Freshness } from './freshness.ts';
import { arrivalOf, keeping } from './cached-body.ts';
import { type Caller, type Key, type KeyParts, keyOf } from './key.ts';
import type { CacheOptions } from './options.ts';
import { isConfirmation } from './cacheable.ts';
import { isLookedUp, revalidating, wants } from './request.ts';
import { confirms, refreshed, served } from './cached-reply.ts';
import { type CacheStore, type Entry, type Fetched, type FetchResult, varyOf } from './store.ts';

export interface ResponseCacheDeps {
  readonly store: CacheStore;
  /** Tells callers apart by what identifies them, without keeping it. */
  readonly callerOf: (call: Call) => Caller;
  /** Holds the signals of what is fetched in the background: a shutdown ends it by these. */
  readonly running: Set<Abort>;
  readonly clock: Clock;
  /** Bounds what is on its way to be kept. */
  readonly memory: ByteBudget;
  /** For a reply that is fetched while a stale one is given. */
  readonly totalTimeoutMs: number;
}

/**
 * Gives replies again while they are fresh (RFC 9111), checks them with the upstream when they are not (a 304 costs less, and no
 * quota at many APIs), and has a stale one stand in for an error or while another is on its way (RFC 5861), where the
 * reply or the route allows it. Identical calls at one time share one fetch. Never across callers.
 */
export function responseCache(options: CacheOptions, deps: ResponseCacheDeps): Policy {
  return (next) => {
    const cache = new ResponseCache(next, options, deps);
    return (call, attempt) => cache.send(call, attempt);
  };
}

class ResponseCache {
  readonly #next: Send;
  readonly #options: CacheOptions;
  readonly #deps: ResponseCacheDeps;
  readonly #keyParts: KeyParts;

  constructor(next: Send, options: CacheOptions, deps: ResponseCacheDeps) {
    this.#next = next;
    this.#options = options;
    this.#deps = deps;
    this.#keyParts = { callerOf: deps.callerOf, vary: options.vary };
  }

  send(call: Call, attempt: Attempt): Promise<Reply> {
    const key = keyOf(call, this.#keyParts);
    if (!isSafe(call.method)) return this.#change(call, attempt);
    return isLookedUp(call) ? this.#lookUp(key, call, attempt) : this.#bypass(call, attempt);
  }

  async #lookUp(key: Key, call: Call, attempt: Attempt): Promise<Reply> {
    for (;;) {
      const entry = this.#deps.store.find(key, call);
      const given = entry && this.#fromKept(key, entry, call, attempt);
      if (given !== undefined) return given;
      if (wants(call, 'only-if-cached')) throw onlyIfCached(call);
      if (call.method === 'HEAD') return this.#bypass(call, attempt);
      const fetched = this.#deps.store.beginFetch(key) ?? (await this.#afterOther(key, attempt));
      if (fetched === 'failed')
        return this.#onError(entry, call) ?? this.#fetch(key, call, attempt, { entry, fetched: ALONE });
      if (fetched !== undefined) return this.#fetch(key, call, attempt, { entry, fetched });
    }
  }

  /** After another's fetch: how to fetch for oneself, `failed` if there is little hope of it, undefined to look again. */
  async #afterOther(key: Key, attempt: Attempt): Promise<Fetched | 'failed' | undefined> {
    const result = await this.#deps.store.untilFetched(key, attempt, this.#deps.clock);
    if (result === 'failed') return result;
    return result === 'not_kept' ? ALONE : undefined;
  }

  #fromKept(key: Key, entry: Entry, call: Call, attempt: Attempt): Reply | undefined {
    const age = entry.freshness.of(call, this.#deps.clock.now());
    if (age === 'old') return undefined;
    return age === 'fresh' ? this.#give(entry, call, 'hit') : this.#giveAndFetch(key, entry, call, attempt);
  }

  /** A call that may have changed what is kept (RFC 9111 §4.4). */
  async #change(call: Call, attempt: Attempt): Promise<Reply> {
    const reply = await this.#next(call, attempt);
    if (reply.status < 400) this.#deps.store.drop(call.target);
    return reply;
  }

  #bypass(call: Call, attempt: Attempt): Promise<Reply> {
    call.journal.note('cache', 'bypass');
    return this.#next(call, attempt);
  }

  #give(entry: Entry, call: Call, result: CacheResult): Reply {
    call.journal.note('cache', result);
    return served(entry, call, { result, clock: this.#deps.clock });
  }

  #giveAndFetch(key: Key, entry: Entry, call: Call, attempt: Attempt): Reply {
    const fetched = this.#deps.store.beginFetch(key);
    if (fetched !== undefined) void this.#refetch(key, call, attempt, { entry, fetched });
    return this.#give(entry, call, 'stale');
  }

  /** In the background, to a deadline of its own; nobody waits for it, so that nobody is told when it fails. */
  async #refetch(key: Key, call: Call, attempt: Attempt, fetching: Fetching): Promise<void> {
    const { clock, running, totalTimeoutMs: ms } = this.#deps;
    const signal = new Abort();
    const error = () =>
      new ProxyError('deadline_exceeded', 'no response headers before the deadline', {
        sent: 'sent_unknown',
      });
    const fetch: Send = (background, timed) => this.#fetch(key, background, timed, fetching);
    // Its attempts count, but are none of the call that has its reply.
    const background = { ...call, method: 'GET', journal: call.journal.inBackground() };
    const detached = attempt.with({ signal, deadline: clock.now() + ms, onInterim: undefined });
    running.add(signal);
    try {
      const reply = await withTimeout(fetch, background, detached, { clock, ms, error });
      reply.body.onEnd(() => running.delete(signal));
      // One that is to be kept is read to its end all the same.
      reply.body.discard();
    } catch (failure) {
      running.delete(signal);
      if (!(failure instanceof ProxyError)) throw failure;
    }
  }

  /** Sends the call, asking whether what is kept is still good, and keeps what comes. Calls `fetched` once. */
  async #fetch(key: Key, call: Call, attempt: Attempt, { entry, fetched }: Fetching): Promise<Reply> {
    const { changes: asked } = this.#deps.store;
    const asking = revalidating(entry, call);
    try {
      const reply = await this.#next(asking, attempt);
      if (entry === undefined)
        return this.#keep(call, attempt, reply, { key, why: 'uri-miss', fetched, asked });
      if (asking !== call && isConfirmation(reply)) {
        return await this.#confirmed(key, call, attempt, { entry, reply, fetched, asked });
      }
      if (!isFailing(reply.status) || !entry.freshness.usableOnError(call, this.#deps.clock.now())) {
        const why = whyAsked(entry, this.#deps.clock.now());
        return this.#keep(call, attempt, reply, { key, why, fetched, asked });
      }
      reply.body.discard();
      fetched('failed');
      return this.#give(entry, call, 'stale_if_error');
    } catch (error) {
      fetched(isUpstreams(error) ? 'failed' : 'left');
      const stale = isUpstreams(error) ? this.#onError(entry, call) : undefined;
      if (stale === undefined) throw error;
      return stale;
    }
  }

  #onError(entry: Entry | undefined, call: Call): Reply | undefined {
    if (entry?.freshness.usableOnError(call, this.#deps.clock.now()) !== true) return undefined;
    return this.#give(entry, call, 'stale_if_error');
  }

  /** A 304 renews what is kept. One that is about something else, whatever that is, is no answer at all. */
  #confirmed(
    key: Key,
    call: Call,
    attempt: Attempt,
    { entry, reply, fetched, asked }: Confirming,
  ): Promise<Reply> | Reply {
    reply.body.discard();
    if (!confirms(reply.headers, entry.headers))
      return this.#fetch(key, call, attempt, { entry: undefined, fetched });
    const headers = refreshed(entry.headers, reply.headers);
    const { clock, store } = this.#deps;
    const head = { status: entry.status, headers };
    const freshness = new Freshness(head, this.#options, arrivalOf(key, clock));
    const vary = varyOf(headers, call);
    const renewed = { ...entry, headers, freshness, vary: vary ?? entry.vary };
    store.forget(key, entry);
    if (freshness.storable && vary !== undefined) store.put(key, renewed, asked);
    fetched('kept');
    const given = this.#give(renewed, call, 'revalidated');
    const cookies = headersOf(reply.headers, 'set-cookie').flatMap((value) => ['Set-Cookie', value]);
    return cookies.length === 0 ? given : { ...given, headers: [...given.headers, ...cookies] };
  }

  /** Passes the reply on, and keeps it once it is whole if it may be kept. */
  #keep(call: Call, attempt: Attempt, reply: Reply, { key, why, fetched, asked }: Keeping): Reply {
    call.journal.note('cache', 'miss');
    const { clock, store, memory } = this.#deps;
    const onDone = (recording: Recording | undefined) => fetched(keptOr(recording, attempt));
    const parts = { store, memory, options: this.#options, clock, key, asked, onDone };
    const body = keeping(call, attempt, reply, parts);
    const headers = [...reply.headers, 'Cache-Status', `breakwater; fwd=${why}${body ? '; stored' : ''}`];
    if (body === undefined) {
      fetched('not_kept');
      return { ...reply, headers };
    }
    return { ...reply, headers, body };
  }
}

/** By RFC 9211: a fresh one was not good enough for the request. */
const whyAsked = ({ freshness }: Entry, now: number): string =>
  freshness.ttlSeconds(now) > 0 ? 'request' : 'stale';

/** Who fetches for nobody else. */
const ALONE: Fetched = () => {};

/** What is fetched: in place of `entry`, for those who wait for `fetched`. */
interface Fetching {
  readonly entry: Entry | undefined;
  /** Called once. */
  readonly fetched: Fetched;
}

interface Keeping {
  readonly key: Key;
  readonly why: string;
  readonly fetched: Fetched;
  /** `store.changes` when the request left. */
  readonly asked: number;
}

interface Confirming extends Omit<Keeping, 'why' | 'key'> {
  readonly entry: Entry;
  readonly reply: Reply;
}

function keptOr(recording: Recording | undefined, { signal }: Attempt): FetchResult {
  if (recording !== undefined) return 'kept';
  return signal.aborted ? 'left' : 'not_kept';
}

/** Everything but a client that left: with our own refusals too nothing else is to be had. */
const isUpstreams = (error: unknown): boolean => error instanceof ProxyError && error.code !== 'client_gone';

function onlyIfCached(call: Call): ProxyError {
  call.journal.note('cache', 'miss');
  return new ProxyError('not_cached', 'the request allows only a cached reply, and no fresh one is cached');
}
