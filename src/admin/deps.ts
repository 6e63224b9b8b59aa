import type { Logger } from '../runtime/logger.ts';
import type { StateSource } from '../telemetry/snapshot.ts';
import type { DurableApi } from './durable.ts';
import type { RecentCall } from './recent.ts';

export const FORCES = ['open', 'closed', 'auto'] as const;

/** What an operator may hold a breaker to; `auto` lets it decide again. */
export type BreakerForce = (typeof FORCES)[number];

export type ReloadResult =
  | { readonly ok: true }
  /** Every problem of the file, one line each; the running configuration stays. */
  | { readonly ok: false; readonly errors: readonly string[] };

/** What the admin server shows and sets off. */
export interface AdminDeps {
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly state: StateSource;
  readonly recent: { list(): readonly RecentCall[] };
  /** `ready` from listening until SIGTERM, unless the store of durable requests fails. */
  readiness(): 'starting' | 'ready' | 'leaving' | 'draining' | 'store_failed';
  readonly durable?: DurableApi | undefined;
  /** False when there is no such upstream. */
  forceBreaker(upstream: string, force: BreakerForce): boolean;
  /** Forgets what was learned and used of its quotas. False when there is no such upstream. */
  resetQuota(upstream: string): boolean;
  reload(): Promise<ReloadResult>;
  /** The effective configuration, redacted. */
  config(): unknown;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}
