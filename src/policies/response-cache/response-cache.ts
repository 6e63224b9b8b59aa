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
import { dispatchBy, type Receiver, type Relay, type Send, sendBy } from '../../proxy/pipeline.ts';
import { sendWithin } from '../../proxy/time-limit.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import { Freshness } from './freshness.ts';
import { arrivalOf, cachedBody } from './cached-body.ts';
import { type Callers, CacheKeys, type Key } from './key.ts';
import type { CacheOptions } from './options.ts';
import { isConfirmation } from './cacheable.ts';
import { isLookedUp, revalidating, wants } from './request.ts';
import { confirms, refreshed, served } from './cached-reply.ts';
import { type CacheStore, type Entry, type Fetched, type FetchResult, varyOf } from './store.ts';

export interface ResponseCacheDeps {
  readonly store: CacheStore;
  readonly callers: Callers;
  /** Signals of background fetches. A shutdown aborts them. */
  readonly running: Set<Abort>;
  readonly clock: Clock;
  /** Bounds the memory of replies that are being recorded. */
  readonly memory: ByteBudget;
  /** The deadline of a background fetch, in milliseconds. */
  readonly totalTimeoutMs: number;
}

/**
 * Serves cached replies (RFC 9111), never across callers. A fresh reply is served without the upstream. A stale one is revalidated
 * first: a 304 costs less, and no quota at many APIs. If the reply or the route allows it, a stale one is served instead of an
 * error, or while another is fetched (RFC 5861). Identical concurrent calls share one fetch. A call that is served at once costs no
 * promise.
 */
export function responseCache(options: CacheOptions, deps: ResponseCacheDeps): Relay {
  return {
    relay: (next) => {
      const cache = new ResponseCache(sendBy(next), options, deps);
      return (call, attempt, receiver) => cache.dispatch(call, attempt, receiver);
    },
  };
}

class ResponseCache {
  readonly #next: Send;
  readonly #options: CacheOptions;
  readonly #deps: ResponseCacheDeps;
  readonly #keys: CacheKeys;

  constructor(next: Send, options: CacheOptions, deps: ResponseCacheDeps) {
    this.#next = next;
    this.#options = options;
    this.#deps = deps;
    this.#keys = new CacheKeys(deps.callers, options.vary);
  }

  dispatch(call: Call, attempt: Attempt, receiver: Receiver): void {
    let found: Reply | Promise<Reply>;
    try {
      found = this.#find(call, attempt);
    } catch (error) {
      return receiver.failed(error);
    }
    if (found instanceof Promise)
      found.then(
        (reply) => receiver.replied(reply),
        (error) => receiver.failed(error),
      );
    else receiver.replied(found);
  }

  #find(call: Call, attempt: Attempt): Reply | Promise<Reply> {
    if (!isSafe(call.method)) return this.#change(call, attempt);
    if (!isLookedUp(call)) return this.#bypass(call, attempt);
    return this.#lookUp(this.#keys.of(call), call, attempt);
  }

  #lookUp(key: Key, call: Call, attempt: Attempt): Reply | Promise<Reply> {
    const entry = this.#deps.store.find(key, call);
    const given = entry && this.#fromCache(key, entry, call, attempt);
    return given ?? this.#ask(key, entry, call, attempt);
  }

  /** `entry`: a cached reply that cannot be served as it is. */
  async #ask(key: Key, entry: Entry | undefined, call: Call, attempt: Attempt): Promise<Reply> {
    if (wants(call, 'only-if-cached')) throw onlyIfCached(call);
    if (call.method === 'HEAD') return this.#bypass(call, attempt);
    const fetched = this.#deps.store.beginFetch(key) ?? (await this.#afterOther(key, attempt));
    if (fetched === undefined) return this.#lookUp(key, call, attempt);
    if (fetched === 'failed')
      return this.#onError(entry, call) ?? this.#fetch(key, call, attempt, { entry, fetched: ALONE });
    return this.#fetch(key, call, attempt, { entry, fetched });
  }

  /** Waits for the fetch of another call. Then: fetch alone, `failed` if that would probably fail too, or undefined to look again. */
  async #afterOther(key: Key, attempt: Attempt): Promise<Fetched | 'failed' | undefined> {
    const result = await this.#deps.store.untilFetched(key, attempt, this.#deps.clock);
    if (result === 'failed') return result;
    return result === 'not_cached' ? ALONE : undefined;
  }

  #fromCache(key: Key, entry: Entry, call: Call, attempt: Attempt): Reply | undefined {
    const age = entry.freshness.of(call, this.#deps.clock.real());
    if (age === 'old') return undefined;
    return age === 'fresh'
      ? this.#serve(entry, call, 'hit')
      : this.#serveAndRefetch(key, entry, call, attempt);
  }

  /** A call that may change cached replies invalidates them (RFC 9111 §4.4). */
  async #change(call: Call, attempt: Attempt): Promise<Reply> {
    const reply = await this.#next(call, attempt);
    if (reply.status < 400) this.#deps.store.drop(call.target);
    return reply;
  }

  #bypass(call: Call, attempt: Attempt): Promise<Reply> {
    call.journal.note('cache', 'bypass');
    return this.#next(call, attempt);
  }

  #serve(entry: Entry, call: Call, result: CacheResult): Reply {
    call.journal.note('cache', result);
    return served(entry, call, { result, clock: this.#deps.clock });
  }

  #serveAndRefetch(key: Key, entry: Entry, call: Call, attempt: Attempt): Reply {
    const fetched = this.#deps.store.beginFetch(key);
    if (fetched !== undefined) void this.#refetch(key, call, attempt, { entry, fetched });
    return this.#serve(entry, call, 'stale');
  }

  /** Fetches in the background with a deadline of its own. No call waits for it, so a failure is not reported. */
  async #refetch(key: Key, call: Call, attempt: Attempt, fetching: Fetching): Promise<void> {
    const { clock, running, totalTimeoutMs: ms } = this.#deps;
    const signal = new Abort();
    const error = () =>
      new ProxyError('deadline_exceeded', 'no response headers before the deadline', {
        sent: 'sent_unknown',
      });
    const fetch: Send = (background, timed) => this.#fetch(key, background, timed, fetching);
    // Its attempts are counted, but they do not belong to the call that was answered.
    const background = { ...call, method: 'GET', journal: call.journal.inBackground() };
    const detached = attempt.with({ signal, deadline: clock.now() + ms, interims: undefined });
    running.add(signal);
    try {
      const timed = sendBy(sendWithin({ clock, ms, error }, dispatchBy(fetch)));
      const reply = await timed(background, detached);
      reply.body.onEnd(() => running.delete(signal));
      // A reply that is recorded is read to its end even if it is discarded.
      reply.body.discard();
    } catch (failure) {
      running.delete(signal);
      if (!(failure instanceof ProxyError)) throw failure;
    }
  }

  /** Sends the call, with the validators of a cached reply, and caches the reply. Calls `fetched` once. */
  async #fetch(key: Key, call: Call, attempt: Attempt, { entry, fetched }: Fetching): Promise<Reply> {
    const { changes: asked } = this.#deps.store;
    const asking = revalidating(entry, call);
    try {
      const reply = await this.#next(asking, attempt);
      if (entry === undefined)
        return this.#store(call, attempt, reply, { key, why: 'uri-miss', fetched, asked });
      if (asking !== call && isConfirmation(reply)) {
        return await this.#confirmed(key, call, attempt, { entry, reply, fetched, asked });
      }
      if (!isFailing(reply.status) || !entry.freshness.usableOnError(call, this.#deps.clock.real())) {
        const why = whyAsked(entry, this.#deps.clock.real());
        return this.#store(call, attempt, reply, { key, why, fetched, asked });
      }
      reply.body.discard();
      fetched('failed');
      return this.#serve(entry, call, 'stale_if_error');
    } catch (error) {
      fetched(isUpstreams(error) ? 'failed' : 'left');
      const stale = isUpstreams(error) ? this.#onError(entry, call) : undefined;
      if (stale === undefined) throw error;
      return stale;
    }
  }

  #onError(entry: Entry | undefined, call: Call): Reply | undefined {
    if (entry?.freshness.usableOnError(call, this.#deps.clock.real()) !== true) return undefined;
    return this.#serve(entry, call, 'stale_if_error');
  }

  /** A 304 renews the cached reply. If the 304 is about another reply, the call is sent again without validators. */
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
    fetched('cached');
    const given = this.#serve(renewed, call, 'revalidated');
    const cookies = headersOf(reply.headers, 'set-cookie').flatMap((value) => ['Set-Cookie', value]);
    return cookies.length === 0 ? given : { ...given, headers: [...given.headers, ...cookies] };
  }

  /** Passes the reply on, and caches it once it is complete, if it may be cached. */
  #store(call: Call, attempt: Attempt, reply: Reply, { key, why, fetched, asked }: Storing): Reply {
    call.journal.note('cache', 'miss');
    const { clock, store, memory } = this.#deps;
    const onDone = (recording: Recording | undefined) => fetched(resultOf(recording, attempt));
    const parts = { store, memory, options: this.#options, clock, key, asked, onDone };
    const body = cachedBody(call, attempt, reply, parts);
    const headers = [...reply.headers, 'Cache-Status', `breakwater; fwd=${why}${body ? '; stored' : ''}`];
    if (body === undefined) {
      fetched('not_cached');
      return { ...reply, headers };
    }
    return { ...reply, headers, body };
  }
}

/** The `fwd` parameter of RFC 9211. `request`: a fresh reply did not satisfy the request. */
const whyAsked = ({ freshness }: Entry, now: number): string =>
  freshness.ttlSeconds(now) > 0 ? 'request' : 'stale';

/** For a fetch that no other call waits for. */
const ALONE: Fetched = () => {};

/** A fetch. It replaces `entry`, and calls may wait for `fetched`. */
interface Fetching {
  readonly entry: Entry | undefined;
  /** Called once. */
  readonly fetched: Fetched;
}

interface Storing {
  readonly key: Key;
  readonly why: string;
  readonly fetched: Fetched;
  /** `store.changes` when the request left. */
  readonly asked: number;
}

interface Confirming extends Omit<Storing, 'why' | 'key'> {
  readonly entry: Entry;
  readonly reply: Reply;
}

function resultOf(recording: Recording | undefined, { signal }: Attempt): FetchResult {
  if (recording !== undefined) return 'cached';
  return signal.aborted ? 'left' : 'not_cached';
}

/** Every error but a client that left. After a refusal of this proxy no other reply is available either. */
const isUpstreams = (error: unknown): boolean => error instanceof ProxyError && error.code !== 'client_gone';

function onlyIfCached(call: Call): ProxyError {
  call.journal.note('cache', 'miss');
  return new ProxyError('not_cached', 'the request allows only a cached reply, and no fresh one is cached');
}
