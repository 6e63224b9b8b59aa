import type { CredentialNames } from '../http/credentials.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { RetryStep } from '../proxy/events.ts';
import type { Outcome, Send } from '../proxy/pipeline.ts';
import type { DurableOptions } from './options.ts';
import type { Refusal } from './refusal.ts';

/** A route as durable requests need it. Policies are passed in as functions. */
export interface DurableRoute {
  /** `upstream/route`. */
  readonly name: string;
  readonly upstream: string;
  readonly route: string;
  readonly options: DurableOptions;
  /** Requests of this route change nothing, whatever their method. */
  readonly safe: boolean;
  /** Statuses by which the API says that it has processed nothing. */
  readonly notProcessed: ReadonlySet<number>;
  /** Lower-case name of the header that carries the idempotency key. */
  readonly idempotencyHeader: string;
  /**
   * The route of one tenant, with its own host and policy state; undefined if that tenant is not allowed. Absent if the upstream has no
   * tenants. With it, nothing is sent through the route itself.
   */
  readonly forTenant?: ((tenant: string) => DurableRoute | undefined) | undefined;
  /** Makes one attempt through the route's breaker, limits and timeouts. */
  readonly send: Send;
  /** Free permits of the upstream's concurrency limit, which live calls share. Infinity without a limit. */
  readonly room: () => number;
  /** Maximum time to the reply head in milliseconds, including the wait for a permit. */
  readonly headTimeoutMs: number;
  /** Maximum time from the head to the end of the body, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** The reply head alone decides the result. An incomplete or late body changes nothing. */
  readonly headDecides: boolean;
  /** Lower-case name of the header with the part of the client that a request is for. */
  readonly clientPartHeader?: string | undefined;
  /** Fields that are added when the request is sent. */
  readonly inject: RawHeaders;
  /** Lower-case names of fields that are not sent. */
  readonly drop: ReadonlySet<string>;
  /** Names of query parameters of a client that are not sent. */
  readonly dropParameters?: ReadonlySet<string> | undefined;
  /** Which fields and parameters are secrets, and which identify the caller. */
  readonly names: CredentialNames;
  /**
   * Classifies the result of an attempt that was not refused by this proxy. Synchronous retries use the same rules.
   */
  readonly classify: (result: AttemptResult) => Classification;
  /** Takes `cost` tokens from the retry budget of all calls. False: the budget has too few. */
  readonly withdraw: (cost: number) => boolean;
  readonly refund: (cost: number) => void;
  /** Undefined if polls repeat the request itself. */
  readonly polls: PollUpstream | undefined;
  /** The targets of the upstream by name; undefined if it has none. */
  readonly targets?: ReadonlyMap<string, PollPlace> | undefined;
  /** Possible waits before retry number `retry`, which is 1-based. */
  readonly waitRange: (retry: number) => { readonly medianMs: number };
}

/** The parts of a URL below which results are polled. */
export interface PollPlace {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path of the URL, without a trailing slash. */
  readonly basePath: string;
}

/** The upstream to which polls of results are sent. */
export interface PollUpstream extends PollPlace {
  /** The route that a poll of this path and query goes through, or why there is none. */
  readonly routeOf: (target: string) => DurableRoute | string;
}

/** The result of an attempt, and the progress of its request. */
export interface AttemptResult {
  readonly outcome: Outcome;
  readonly method: string;
  /** Whether the request may be sent twice: by its method, its key, or because the route says so. */
  readonly repeatable: boolean;
  /** Attempts that count so far, this one included. */
  readonly attempt: number;
  /** The backoff before this attempt in milliseconds; 0 for none. */
  readonly previousMs: number;
  /** Wall-clock milliseconds, as is `deadlineAt`. */
  readonly now: number;
  readonly deadlineAt: number;
}

export type Classification =
  | { readonly kind: 'success' }
  /** This proxy refused the attempt; the upstream received nothing. */
  | { readonly kind: 'refused'; readonly error: ProxyError; readonly refusal: Refusal }
  | RetryStep
  | {
      readonly kind: 'stop';
      readonly because:
        | 'attempts'
        | 'deadline'
        | 'not_idempotent'
        | 'not_retryable'
        /** By the error rules of the API, no retry changes the reply. */
        | 'permanent'
        /** The reply forbids a retry. */
        | 'veto'
        | 'retry_after_too_long'
        | 'body_not_replayable';
    };
