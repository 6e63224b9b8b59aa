import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { CALLBACK_ROUTE, type CallbackOptions } from '../../durable/callbacks/options.ts';
import { signatureHeaders, webhookKey } from '../../durable/callbacks/sign.ts';
import { allowsCallback } from '../../durable/callbacks/target.ts';
import type { AttemptResult, Classification, DurableRoute } from '../../durable/route.ts';
import type { CallbackRoutes } from '../../durable/route-table.ts';
import { RECOGNISED } from '../../http/credentials.ts';
import { FieldNames } from '../../http/field-names.ts';
import { headerOf, type RawHeaders, withoutFields } from '../../http/headers.ts';
import { isPrivateHost } from '../../http/private-address.ts';
import { Breaker } from '../../policies/circuit-breaker/breaker.ts';
import type { BreakerOptions } from '../../policies/circuit-breaker/options.ts';
import { circuitBreaker } from '../../policies/circuit-breaker/policy.ts';
import { waitRange } from '../../policies/retry/backoff.ts';
import type { BackoffOptions } from '../../policies/retry/options.ts';
import { askedBy, nextStep } from '../../policies/retry/step.ts';
import { attemptTimeout } from '../../policies/timeouts/attempt-timeout.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import { compose } from '../../proxy/compose.ts';
import { sendBy, type Wrapper } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { WEBHOOK_CONNECTION } from '../webhook-connection.ts';
import { type Agent, createAgent } from '../../upstream/agent.ts';
import { upstreamDispatch } from '../../upstream/send.ts';

export interface CallbackHostsDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** With wildcards allowed, clients choose the origins, so the least recently used ones are dropped. */
const MOST_ORIGINS = 256;

/** Concurrent deliveries to one origin. A receiver is an application of the operator, so a few are enough. */
const DELIVERIES_AT_ONCE = 8;

/** Bytes of a receiver's reply that are stored. */
const STORED_REPLY_BYTES = 2_048;

/** Maximum wait for the reply body. The head has already decided the result. */
const BODY_MS = 1_000;

const BREAKER: BreakerOptions = {
  mode: 'enforce',
  windowMs: 60_000,
  minRequests: 10,
  failureRate: 0.8,
  slow: undefined,
  connectFailures: 5,
  consecutiveFailures: 10,
  probes: 1,
  waitRatio: 0.5,
  minWaitMs: 5_000,
  maxWaitMs: 300_000,
};

/** The breaker is not reported, because callback hosts are not used as metric labels. Waiting callbacks show its state. */
const UNOBSERVED = { changed: () => undefined, stale: () => undefined };

interface Host {
  readonly route: DurableRoute;
  readonly agent: Agent;
}

/** Delivers callbacks. Each origin has its own connections and breaker. */
export class CallbackHosts implements CallbackRoutes {
  readonly #deps: CallbackHostsDeps;
  /** Agents of dropped hosts stay open for their deliveries. Idle connections end by the keep-alive time. */
  readonly #hosts = new LRUCache<string, Host>({ max: MOST_ORIGINS });
  #options: CallbackOptions | undefined;

  constructor(deps: CallbackHostsDeps) {
    this.#deps = deps;
  }

  /** New secrets and a new allow-list apply to all later deliveries. */
  setUp(options: CallbackOptions): void {
    const lasting = ({ allow: _allow, secrets: _secrets, ...rest }: CallbackOptions) => rest;
    if (this.#options !== undefined && !isDeepStrictEqual(lasting(options), lasting(this.#options)))
      this.#hosts.clear();
    this.#options = options;
  }

  get(name: string): DurableRoute | undefined {
    if (this.#options === undefined || !name.startsWith(CALLBACK_ROUTE)) return undefined;
    let host = this.#hosts.get(name);
    if (host === undefined) this.#hosts.set(name, (host = this.#create(name, this.#options)));
    return host.route;
  }

  *[Symbol.iterator](): Generator<DurableRoute> {
    for (const { route } of this.#hosts.values()) yield route;
  }

  close(): void {
    for (const { agent } of this.#hosts.values()) agent.close();
    this.#hosts.clear();
  }

  #create(name: string, options: CallbackOptions): Host {
    const { clock, random } = this.#deps;
    const { allowPrivate, deadlineMs, retentionMs, timeoutMs, waitsMs } = options;
    const origin = name.slice(CALLBACK_ROUTE.length);
    const agent = createAgent(origin, { ...WEBHOOK_CONNECTION, allowPrivate }, { clock });
    const breaker = new Breaker(BREAKER, random, UNOBSERVED);
    const dispatch = compose(
      [
        this.#permitted(origin),
        circuitBreaker(breaker, { mode: 'enforce', clock }),
        attemptTimeout(timeoutMs, clock),
        this.#signed,
      ],
      upstreamDispatch(agent.requests, origin, { clock, idleTimeoutMs: timeoutMs }),
    );
    const backoff = backoffOf(waitsMs);
    const route: DurableRoute = {
      name,
      upstream: '',
      route: 'callbacks',
      options: {
        attempts: waitsMs.length + 1,
        deadlineMs,
        retentionMs,
        maxBodyBytes: 0,
        maxResultBytes: STORED_REPLY_BYTES,
        concurrency: DELIVERIES_AT_ONCE,
        onUnknown: 'retry',
        poll: undefined,
      },
      // The receiver recognises a repeat by its webhook-id.
      safe: true,
      notProcessed: new Set(),
      idempotencyHeader: 'webhook-id',
      send: sendBy(dispatch),
      room: () => Infinity,
      headTimeoutMs: timeoutMs,
      bodyTimeoutMs: Math.min(timeoutMs, BODY_MS),
      headDecides: true,
      inject: [],
      drop: new FieldNames([]),
      names: RECOGNISED,
      polls: undefined,
      classify: (result) => classifyResult(result, { attempts: waitsMs.length + 1, backoff }, random),
      withdraw: () => true,
      refund: () => undefined,
      waitRange: (n) => waitRange(n, backoff, false),
    };
    return { route, agent };
  }

  /** Checks the URL again, because the allow-list may have changed since the request was accepted. */
  #permitted(origin: string): Wrapper {
    return (next) => (call, attempt) => {
      const { allow = [], allowPrivate = false } = this.#options ?? {};
      const url = new URL(origin + call.target);
      if (allowsCallback(allow, url) && (allowPrivate || !isPrivateHost(url.hostname)))
        return next(call, attempt);
      const message = 'durable.callbacks.allow no longer includes this URL';
      return Promise.reject(new ProxyError('callback_forbidden', message));
    };
  }

  readonly #signed: Wrapper = (next) => (call, attempt) => {
    const body = call.body.open();
    const headers = signatureHeaders(keysOf(this.#options?.secrets ?? []), {
      id: headerOf(call.headers, ID) ?? '',
      timestamp: Math.floor(this.#deps.clock.wallTime() / 1_000),
      body: Buffer.isBuffer(body) ? body : '',
    });
    return next({ ...call, headers: [...withoutId(call), ...headers] }, attempt);
  };
}

const ID = 'webhook-id';

function withoutId({ headers }: Call): RawHeaders {
  return withoutFields(headers, (name) => name === ID);
}

function keysOf(secrets: readonly string[]): Uint8Array[] {
  return secrets.flatMap((secret) => webhookKey(secret) ?? []);
}

function backoffOf(waitsMs: readonly number[]): BackoffOptions {
  return {
    kind: 'list',
    baseMs: 0,
    overloadedBaseMs: 0,
    factor: 1,
    maxMs: Math.max(0, ...waitsMs),
    jitter: 'equal',
    listMs: waitsMs,
  };
}

/**
 * Standard Webhooks 1.0.0: 2xx is a success, 410 means that the receiver wants no more messages. All other replies
 * are retried, because the receiver may be under repair.
 */
function classifyResult(
  result: AttemptResult,
  rules: { readonly attempts: number; readonly backoff: BackoffOptions },
  random: Random,
): Classification {
  const { outcome } = result;
  if (outcome.kind === 'reply') {
    const { status } = outcome.reply;
    if (status >= 200 && status < 300) return { kind: 'success' };
    if (status === 410) return { kind: 'stop', because: 'not_retryable' };
  }
  const reason = outcome.kind === 'reply' ? (`status_${outcome.reply.status}` as const) : outcome.error.code;
  const decision = { retry: 'yes', transparent: false, overloaded: false, reason } as const;
  const times = { askedMs: askedBy(outcome, result.now), deadline: result.deadlineAt };
  return nextStep(
    { ...result, ...times, decision, replayable: true },
    { ...rules, retryAfterMaxMs: Number.POSITIVE_INFINITY },
    random,
  );
}
