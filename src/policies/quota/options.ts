import type { QuotaFormat } from '../../http/rate-limit.ts';
import type { LimitScope } from './scope.ts';
import type { CostParts } from './stated-cost.ts';

/** At most `limit` per `periodMs`. */
export interface QuotaWindow {
  /** Such as `100/s`. Metrics use it as a label. */
  readonly name: string;
  readonly limit: number;
  readonly periodMs: number;
  /** The most that may pass at once after a pause; undefined: chosen by the period (see `Gcra`). */
  readonly burst: number | undefined;
  /** `calls`: each call counts one. `cost`: each call counts its cost. */
  readonly counts: 'calls' | 'cost';
}

/** Where the cost of a call comes from: the header, then the body, then `fixed`. The reply corrects it. */
export interface CostOptions {
  readonly fixed: number;
  /** Lower-case name of a request header. */
  readonly header: string | undefined;
  /** JSON pointer (RFC 6901) into the request body. */
  readonly pointer: string | undefined;
  /** Where a reply states the real cost; empty: it does not. */
  readonly reply: CostParts;
}

/** The options that a learned limit depends on. One that was learned with others does not count. */
export const learningOf = ({ credentialHeaders, formats, learn, scope }: QuotaOptions): string =>
  JSON.stringify({ credentialHeaders, formats, learn, scope });

export interface QuotaOptions {
  /** `shadow` lets every call pass and reports those that would wait. `off` neither waits nor learns. */
  readonly mode: 'on' | 'shadow' | 'off';
  readonly windows: readonly QuotaWindow[];
  readonly cost: CostOptions;
  /**
   * The scope of a learned limit.
   * - `auto`: the call's path at first; the whole credential once the same limit is met on other paths
   * - `path`: the call's path only
   * - `credential`: the whole credential at once
   * - a JSON pointer: as `auto`, with a name from the body instead of the path
   */
  readonly scope: LimitScope;
  /** Whether quota headers of replies are read. A throttled reply starts a cooldown either way. */
  readonly learn: boolean;
  readonly formats: readonly QuotaFormat[];
  /** Lower-case names of the request headers that hold the credential. */
  readonly credentialHeaders: readonly string[];
  /** The most calls of one credential that may wait. */
  readonly queue: number;
  /** The longest wait; the call's deadline is a second limit. */
  readonly waitMs: number;
}
