import type { CompiledHeaderRules, RawHeaders } from '../http/headers.ts';
import type { ProxyError } from './errors.ts';
import type { OverrideLimits } from './overrides.ts';
import type { Send } from './pipeline.ts';

/** Decides which clients may use a route. */
export interface ClientCheck {
  /** Why the request is refused; undefined if it is served. `host`: the host it was made for. */
  refusal(headers: RawHeaders, host: string | undefined): ProxyError | undefined;
}

/** A match and its pipeline, built once: all that the listener needs to know. */
export interface Route {
  readonly upstream: string;
  readonly name: string;
  readonly send: Send;
  /** Calls of this upstream between their head in and their last byte out, and tunnels to it; shared by its routes. */
  readonly calls: { inFlight: number; tunnels: number };
  readonly totalTimeoutMs: number;
  /** A body up to this size is kept so that it can be sent again; 0 where no policy would. */
  readonly maxReplayBytes: number;
  /** Undefined where clients may override nothing. */
  readonly overrides?: OverrideLimits | undefined;
  /** Calls change nothing at the upstream, whatever their method. */
  readonly safe?: boolean | undefined;
  readonly headers: CompiledHeaderRules;
  /** Undefined where calls get no credential from us. */
  readonly clientCheck?: ClientCheck | undefined;
  /** Where retries are ours alone: the fields (lower-case) by which a reply tells SDKs not to retry too. */
  readonly ownRetries: { readonly veto: readonly string[] } | undefined;
  readonly idempotency: {
    readonly mode: 'none' | 'pass' | 'inject' | 'require';
    /** Lower-case. */
    readonly header: string;
  };
  /** Where a call goes whose client prefers to be answered later (RFC 7240, respond-async); undefined: nowhere else. */
  readonly durable?: Route | undefined;
}
