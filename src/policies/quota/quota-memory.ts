import { aged, reportsOf, type Report, type ScopeReports } from './cooldown-report.ts';

/**
 * The facts about the quota of one credential that a later process needs: those that end in more than a minute. A restart costs
 * little of a shorter one. Times are milliseconds from the moment at which the facts were collected.
 */
export interface QuotaFacts {
  /** By configured window: until all its units are available. 0: soon. */
  readonly debts: readonly number[];
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
  [...debts, ...reports.map(([, report]) => lastsMs(report))].reduce((most, ms) => Math.max(most, ms), 0);

/** The facts that end in more than a minute; undefined if there are none. */
export function farFacts({ debts, reports, scopes }: QuotaFacts): QuotaFacts | undefined {
  const far = reports.filter(([, report]) => lastsMs(report) > FAR_MS).slice(0, MOST_REPORTS);
  const farDebts = debts.map((ms) => (ms > FAR_MS ? Math.ceil(ms) : 0));
  if (far.length === 0 && farDebts.every((ms) => ms === 0)) return undefined;
  const named = new Set(far.map(([scope]) => scope));
  return { debts: farDebts, reports: far, scopes: scopes.filter(([, scope]) => named.has(scope)) };
}

/** Facts of a parsed text, `ageMs` later; undefined if nothing counts any more, or if it is no such text. */
export function agedFacts(parsed: unknown, ageMs: number): QuotaFacts | undefined {
  if (typeof parsed !== 'object' || parsed === null) return undefined;
  const { debts, reports, scopes } = parsed as Record<string, unknown>;
  if (!Array.isArray(debts) || !Array.isArray(scopes)) return undefined;
  const facts: QuotaFacts = {
    debts: debts.slice(0, MOST_WINDOWS).map((ms: unknown) => (isDebt(ms) ? Math.max(0, ms - ageMs) : 0)),
    reports: reportsOf(reports)
      .map(([scope, report]) => [scope, aged(report, ageMs)] as const)
      .filter(([, report]) => lastsMs(report) > 0),
    scopes: scopes.slice(0, MOST_SCOPES).filter(isNamed),
  };
  return factsLastMs(facts) > 0 ? facts : undefined;
}

const isDebt = (ms: unknown): ms is number => typeof ms === 'number' && Number.isFinite(ms);

const isName = (value: unknown): boolean => typeof value === 'string' && value.length <= LONGEST_NAME;

const isNamed = (value: unknown): value is readonly [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every(isName);
