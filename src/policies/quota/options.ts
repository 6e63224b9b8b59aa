import type { QuotaFormat } from '../../http/rate-limit.ts';
import type { LimitScope } from './scope.ts';

/** So much in so long. */
export interface QuotaWindow {
  /** `100/s`: a label of metrics. */
  readonly name: string;
  readonly limit: number;
  readonly periodMs: number;
  /** How much may go at once after a pause; undefined: chosen by the period (see `Gcra`). */
  readonly burst: number | undefined;
  /** `calls`: each is one. `cost`: each is what `cost` says. */
  readonly counts: 'calls' | 'cost';
}

/** Where a call says what it costs; the first that says something is heard, then `fixed`. */
export interface CostOptions {
  readonly fixed: number;
  /** Lower-case name of a request header. */
  readonly header: string | undefined;
  /** JSON pointer (RFC 6901) into a request body that is all here. */
  readonly pointer: string | undefined;
}

export interface QuotaOptions {
  /** `off` neither waits nor learns. */
  readonly mode: 'on' | 'off';
  readonly windows: readonly QuotaWindow[];
  readonly cost: CostOptions;
  /**
   * What a learned limit holds for. `auto`: the call's path at first, and the whole credential when it is met elsewhere too; `path`: never
   * more than that; `credential`: the whole credential at once; a pointer: as `auto`, by what the body names.
   */
  readonly scope: LimitScope;
  /** Whether replies are read for what they say about quotas. Refusals close the gate either way. */
  readonly learn: boolean;
  readonly formats: readonly QuotaFormat[];
  /** Lower-case names of the request headers that say on whose behalf a call is made. */
  readonly credentialHeaders: readonly string[];
  /** Calls of one credential that may wait. */
  readonly queue: number;
  /** Longest wait besides the call's deadline. */
  readonly waitMs: number;
}
