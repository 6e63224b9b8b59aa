import type { CredentialNames } from '../http/credentials.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { RetryStep } from '../proxy/events.ts';
import type { Outcome, Send } from '../proxy/pipeline.ts';
import type { DurableOptions } from './options.ts';
import type { Refusal } from './refusal.ts';

/** A route as durable requests need it. What the policies know of it comes in as functions. */
export interface DurableRoute {
  /** `upstream/route`. */
  readonly name: string;
  readonly upstream: string;
  readonly route: string;
  readonly options: DurableOptions;
  /** Its calls change nothing, whatever their method. */
  readonly safe: boolean;
  /** Lower-case name of the header that carries the idempotency key. */
  readonly idempotencyHeader: string;
  /** One attempt with the route's own breaker, limits and timeouts. */
  readonly send: Send;
  /** Free permits of the limit of all calls of this upstream; Infinity while nothing limits them. */
  readonly room: () => number;
  /** Longest time to the head, waits for a permit included. */
  readonly headTimeoutMs: number;
  /** Longest time from the head to the end of the body. */
  readonly bodyTimeoutMs: number;
  /** The head of a reply is all that matters: what is missing of its body, or comes late, changes nothing. */
  readonly headDecides: boolean;
  /** Fields that are added at dispatch. */
  readonly inject: RawHeaders;
  /** Lower-case names of fields that are not sent. */
  readonly drop: ReadonlySet<string>;
  /** Which of its fields and parameters are secrets, and which tell callers apart. */
  readonly names: CredentialNames;
  /** What an attempt's outcome means, where it is no refusal of our own; the one function that the synchronous retry asks too. */
  readonly classify: (result: AttemptResult) => Classification;
  /** Pays for a further attempt from the retry budget of all calls; false: not now. */
  readonly withdraw: (cost: number) => boolean;
  readonly refund: (cost: number) => void;
  /** Undefined where nothing else than the request itself is polled. */
  readonly polls: PollUpstream | undefined;
  /** What the wait before retry number `retry` (1-based) can be. */
  readonly waitRange: (retry: number) => { readonly medianMs: number };
}

/** Where a reply may say that it can be asked about. */
export interface PollUpstream {
  /** Of the upstream: scheme, host and port. */
  readonly origin: string;
  /** Path of the upstream's URL, without a trailing slash. */
  readonly basePath: string;
  /** The route whose policies a poll of this path and query goes through; a text says why there is none. */
  readonly routeOf: (target: string) => DurableRoute | string;
}

/** An attempt that has ended, and where its request stands. */
export interface AttemptResult {
  readonly outcome: Outcome;
  readonly method: string;
  /** Sending it twice means no more than sending it once: by its method, its key, or because the route says so. */
  readonly repeatable: boolean;
  /** How many attempts have counted, this one included. */
  readonly attempt: number;
  /** The backoff before this one; 0 for none. */
  readonly previousMs: number;
  /** Wall-clock milliseconds, as is `deadlineAt`. */
  readonly now: number;
  readonly deadlineAt: number;
}

export type Classification =
  | { readonly kind: 'success' }
  /** We ourselves would not send it; the upstream was not touched. */
  | { readonly kind: 'refused'; readonly error: ProxyError; readonly refusal: Refusal }
  | RetryStep
  | {
      readonly kind: 'stop';
      readonly because:
        | 'attempts'
        | 'deadline'
        | 'not_idempotent'
        | 'not_retryable'
        /** By the rules of the API no repetition changes it. */
        | 'permanent'
        /** The reply says that it is not to be repeated. */
        | 'veto'
        | 'retry_after_too_long'
        | 'body_not_replayable';
    };
