import type { NamedClient } from '../proxy/client.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Clock } from '../runtime/clock.ts';
import type { StateSource } from '../telemetry/snapshot.ts';
import type { Traffic } from '../telemetry/traffic/traffic.ts';
import type { DurableApi } from './durable.ts';
import type { CallHistory } from './call-history.ts';

export const FORCES = ['open', 'closed', 'auto'] as const;

/** State forced by an operator. `auto` ends the forcing. */
export type BreakerForce = (typeof FORCES)[number];

export type ReloadResult =
  | { readonly ok: true }
  /** All problems of the file, one line each. The running configuration stays in effect. */
  | { readonly ok: false; readonly errors: readonly string[] };

/** A reload that was refused. The configuration from before is in effect. */
export interface RefusedReload {
  /** In ms since the Unix epoch. */
  readonly at: number;
  /** One line each, with its place in the file. */
  readonly problems: readonly string[];
}

export interface About {
  readonly version: string;
  /** The configuration file, as it was given. */
  readonly file: string;
  /** In ms since the Unix epoch. */
  readonly startedAt: number;
  /** When the configuration in effect was loaded, in ms since the Unix epoch. */
  readonly loadedAt: number;
  /** Undefined if the latest reload was accepted. */
  readonly refusedReload: RefusedReload | undefined;
  /** The clients that are known by a token; undefined if clients need none. */
  readonly clients?: readonly NamedClient[] | undefined;
}

/** A question about the configuration: the values in effect of an upstream, or the simulation of an outage. */
export interface Question {
  readonly kind: 'values' | 'simulate';
  /** As the client sent them. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export type Answer =
  | { readonly ok: true; readonly body: unknown }
  /** `status`: 400 for a wrong question, 404 for an unknown upstream, 422 if the file has `errors`, 503 if it takes too long. */
  | {
      readonly ok: false;
      readonly status: 400 | 404 | 422 | 503;
      readonly detail: string;
      readonly errors?: readonly string[];
    };

/** State and operations of the admin server. */
export const TARGET_PLACES = ['out', 'in'] as const;
export type TargetPlace = (typeof TARGET_PLACES)[number];

export interface AdminDeps {
  readonly metrics: {
    /** `accept`: the format that the scraper prefers. */
    scrape(accept: string | undefined): {
      readonly contentType: string;
      readonly pieces: AsyncIterable<string>;
    };
  };
  readonly state: StateSource;
  readonly calls: Pick<CallHistory, 'list' | 'listAfter' | 'seen'>;
  readonly traffic: Pick<Traffic, 'series' | 'summary'>;
  readonly clock: Clock;
  about(): About;
  /** `ready` from listening until SIGTERM; `store_failed` meanwhile if durable requests are refused, and all other calls go on. */
  readiness(): 'starting' | 'ready' | 'leaving' | 'draining' | 'store_failed';
  readonly durable?: DurableApi | undefined;
  /** False if there is no such upstream. */
  forceBreaker(upstream: string, force: BreakerForce): boolean;
  /** Clears the learned limits and counted usage of an upstream's quotas. False if there is no such upstream. */
  resetQuota(upstream: string): boolean;
  /** Takes a target out, or puts it in again. False if there is no such upstream or target. */
  setTarget(upstream: string, target: string, to: TargetPlace): boolean;
  reload(): Promise<ReloadResult>;
  /** The effective configuration, with secrets redacted. */
  config(): unknown;
  /** Answers outside this thread, one question at a time. */
  ask(question: Question): Promise<Answer>;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}
