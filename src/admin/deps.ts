import type { Logger } from '../runtime/logger.ts';
import type { StateSource } from '../telemetry/snapshot.ts';
import type { DurableApi } from './durable.ts';
import type { RecentCall } from './recent.ts';

export const FORCES = ['open', 'closed', 'auto'] as const;

/** State forced by an operator. `auto` ends the forcing. */
export type BreakerForce = (typeof FORCES)[number];

export type ReloadResult =
  | { readonly ok: true }
  /** All problems of the file, one line each. The running configuration stays in effect. */
  | { readonly ok: false; readonly errors: readonly string[] };

/** State and operations of the admin server. */
export interface AdminDeps {
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  readonly state: StateSource;
  readonly recent: { list(): readonly RecentCall[] };
  /** `ready` from listening until SIGTERM, unless the durable store fails. */
  readiness(): 'starting' | 'ready' | 'leaving' | 'draining' | 'store_failed';
  readonly durable?: DurableApi | undefined;
  /** False if there is no such upstream. */
  forceBreaker(upstream: string, force: BreakerForce): boolean;
  /** Clears the learned limits and counted usage of an upstream's quotas. False if there is no such upstream. */
  resetQuota(upstream: string): boolean;
  reload(): Promise<ReloadResult>;
  /** The effective configuration, with secrets redacted. */
  config(): unknown;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}
