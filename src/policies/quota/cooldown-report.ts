import type { QuotaReading } from '../../http/rate-limit.ts';
import type { CooldownCause } from '../../proxy/events.ts';

/**
 * The state of a cooldown, for other replicas. All times are milliseconds from the moment of the report, because clocks differ.
 * `leftMsAgo`: when the attempt left whose result the report is based on: the first one that was refused, or the one that was
 * answered. A replica that knows the result of a later attempt ignores the report.
 */
export type CooldownReport =
  | {
      readonly name: 'active';
      readonly cause: CooldownCause;
      /** To its end. */
      readonly ms: number;
      /** To the end that the upstream named. */
      readonly namedMs: number;
      /** To the next probe. */
      readonly probeMs: number;
      readonly probes: number;
      readonly failed: number;
      readonly leftMsAgo: number;
      /** The scopes in which the limit was observed, if it is one of the whole credential. */
      readonly scopes: readonly string[];
    }
  /** A probe was answered. */
  | { readonly name: 'over'; readonly ramp: boolean; readonly leftMsAgo: number };

/** The replicas that share a cooldown, as the cooldown sees them. */
export interface Replicas {
  /** How many there are, this one included. */
  readonly count: number;
  /** `report` has changed by a result that this replica has seen. */
  changed(): void;
  /** This replica needs the lease for probes no more. */
  released(): void;
}

/** A process that shares nothing. */
export const ALONE: Replicas = { count: 1, changed: () => {}, released: () => {} };

/** A limit that the upstream has stated. */
export interface ReadingReport {
  readonly name: 'reading';
  readonly reading: QuotaReading;
  readonly leftMsAgo: number;
}

export type Report = CooldownReport | ReadingReport;

/** The reports of one credential, by scope (`WHOLE`: all of them). */
export type ScopeReports = readonly (readonly [scope: string, report: Report])[];

/** In place of a scope: all calls of the credential. */
export const WHOLE = '';

/** The longest time that a report of another replica may name: twice the longest cooldown. */
const LONGEST_MS = 2 * 3_600_000;

/** The longest reset of a limit that is kept, and the most units. */
export const LONGEST_RESET_MS = 32 * 24 * 3_600_000;
const MOST_UNITS = 1e12;

/** Scopes of one credential, and characters of the name of one. */
const MOST_SCOPES = 64;
const LONGEST_SCOPE = 600;

const CAUSES: ReadonlySet<unknown> = new Set<CooldownCause>(['retry_after', 'throttled', 'permanent']);

/** The valid reports of a parsed text. Anyone with access to the store can write there, so nothing is trusted. */
export function reportsOf(parsed: unknown): ScopeReports {
  if (!Array.isArray(parsed)) return [];
  return parsed.slice(0, MOST_SCOPES).flatMap((entry: unknown): ScopeReports => {
    if (!Array.isArray(entry)) return [];
    const [scope, report] = entry as unknown[];
    return isScope(scope) && isReport(report) ? [[scope, report]] : [];
  });
}

function isReport(value: unknown): value is Report {
  if (typeof value !== 'object' || value === null) return false;
  const { leftMsAgo, name, ramp, reading, ...active } = value as Record<string, unknown>;
  if (typeof leftMsAgo !== 'number' || !(leftMsAgo >= 0)) return false;
  if (name === 'over') return typeof ramp === 'boolean';
  return name === 'reading' ? isReading(reading) : name === 'active' && isActive(active);
}

function isReading(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { bucket, continuous, limit, policy, remaining, resetMs, resource, unit, windowMs } = value as Record<
    string,
    unknown
  >;
  return (
    [bucket, policy, resource].every(isScope) &&
    (unit === 'calls' || unit === 'cost') &&
    typeof continuous === 'boolean' &&
    isUpTo(remaining, MOST_UNITS) &&
    (limit === undefined || isUpTo(limit, MOST_UNITS)) &&
    [resetMs, windowMs].every((ms) => ms === undefined || isUpTo(ms, LONGEST_RESET_MS))
  );
}

function isActive({ cause, failed, ms, namedMs, probeMs, probes, scopes }: Record<string, unknown>): boolean {
  return (
    CAUSES.has(cause) &&
    [ms, namedMs, probeMs].every(isMs) &&
    [probes, failed].every((count) => Number.isSafeInteger(count) && (count as number) >= 0) &&
    Array.isArray(scopes) &&
    scopes.every(isScope)
  );
}

const isScope = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= LONGEST_SCOPE;

const isUpTo = (value: unknown, most: number): boolean =>
  typeof value === 'number' && value >= 0 && value <= most;

const isMs = (value: unknown): boolean => isUpTo(value, LONGEST_MS);

/** The same report, `ms` later. */
export function aged(report: Report, ms: number): Report {
  const leftMsAgo = report.leftMsAgo + ms;
  if (report.name === 'over') return { ...report, leftMsAgo };
  const later = (value: number) => Math.max(0, value - ms);
  if (report.name === 'reading') {
    const { reading } = report;
    const resetMs = reading.resetMs === undefined ? undefined : later(reading.resetMs);
    return { ...report, leftMsAgo, reading: { ...reading, resetMs } };
  }
  return {
    ...report,
    leftMsAgo,
    ms: later(report.ms),
    namedMs: later(report.namedMs),
    probeMs: later(report.probeMs),
  };
}
