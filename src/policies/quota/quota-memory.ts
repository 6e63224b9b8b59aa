import { aged, reportsOf, type Report, type ScopeReports } from './cooldown-report.ts';
import type { QuotaWindow } from './options.ts';

/** Used units of a configured window. */
export interface Debt extends Pick<QuotaWindow, 'counts' | 'periodMs'> {
  /** Milliseconds until time has refilled them. */
  readonly ms: number;
  readonly units: number;
}

/**
 * The facts about the quota of one credential that a later process needs: those that end in more than a minute. A restart costs
 * little of a shorter one. Times are milliseconds from the moment at which the facts were collected.
 */
export interface QuotaFacts {
  readonly debts: readonly Debt[];
  /** Cooldowns, and limits that the upstream has stated. */
  readonly reports: ScopeReports;
  /** The scopes that the upstream has named, by the shape of a call. */
  readonly scopes: readonly (readonly [shape: string, scope: string])[];
}

/** The facts that an earlier process knew about the credentials of a quota. */
export interface QuotaMemory {
  /** True if nothing is known about any credential. */
  readonly isEmpty: boolean;
  /** Of the credential that this text identifies; undefined if nothing can be remembered. */
  of(credential: string): CredentialMemory | undefined;
  /** Forgets all. */
  clear(): void;
}

export interface CredentialMemory {
  /** As of now; undefined if nothing is known that still counts. */
  recall(): QuotaFacts | undefined;
  /** `facts` returns something else from now on. It is called within a second, and its result replaces what is remembered. */
  changed(facts: () => QuotaFacts | undefined): void;
}

/** Facts with an end that is nearer are not remembered. */
export const FAR_MS = 60_000;

/** As many as are read. */
const MOST_REPORTS = 64;

const MOST_SCOPES = 256;
const LONGEST_NAME = 600;
const MOST_WINDOWS = 64;

/** Milliseconds until nothing of a report counts any more. */
function lastsMs(report: Report): number {
  if (report.name === 'over') return 0;
  return report.name === 'active' ? report.ms : (report.reading.resetMs ?? 0);
}

/** Milliseconds until nothing of the facts counts any more; 0 if nothing does. */
const factsLastMs = ({ debts, reports }: QuotaFacts): number =>
  [...debts.map(({ ms }) => ms), ...reports.map(([, report]) => lastsMs(report))].reduce(
    (most, ms) => Math.max(most, ms),
    0,
  );

/** The facts that end in more than a minute; undefined if there are none. */
export function farFacts({ debts, reports, scopes }: QuotaFacts): QuotaFacts | undefined {
  const far = reports.filter(([, report]) => lastsMs(report) > FAR_MS).slice(0, MOST_REPORTS);
  const farDebts = debts.filter(({ ms }) => ms > FAR_MS);
  if (far.length === 0 && farDebts.length === 0) return undefined;
  const named = new Set(far.map(([scope]) => scope));
  return { debts: farDebts, reports: far, scopes: scopes.filter(([, scope]) => named.has(scope)) };
}

/** Facts of a parsed text, `ageMs` later; undefined if nothing counts any more, or if it is no such text. */
export function agedFacts(parsed: unknown, ageMs: number): QuotaFacts | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { debts, reports, scopes } = parsed as Record<string, unknown>;
  if (!Array.isArray(debts) || !Array.isArray(scopes)) return undefined;
  const facts: QuotaFacts = {
    debts: debts
      .slice(0, MOST_WINDOWS)
      .filter(isDebt)
      .map((debt) => agedDebt(debt, ageMs)),
    reports: reportsOf(reports)
      .map(([scope, report]) => [scope, aged(report, ageMs)] as const)
      .filter(([, report]) => lastsMs(report) > 0),
    scopes: scopes.slice(0, MOST_SCOPES).filter(isNamed),
  };
  return factsLastMs(facts) > 0 ? facts : undefined;
}

function isDebt(value: unknown): value is Debt {
  if (typeof value !== 'object' || value === null) return false;
  const { counts, ms, periodMs, units } = value as Record<string, unknown>;
  return (
    (counts === 'calls' || counts === 'cost') &&
    [ms, periodMs, units].every((one) => typeof one === 'number' && one >= 0 && Number.isFinite(one))
  );
}

function agedDebt(debt: Debt, ageMs: number): Debt {
  const ms = Math.max(0, debt.ms - ageMs);
  return { ...debt, ms, units: debt.ms > 0 ? (debt.units * ms) / debt.ms : 0 };
}

const isName = (value: unknown): boolean => typeof value === 'string' && value.length <= LONGEST_NAME;

const isNamed = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every(isName);
