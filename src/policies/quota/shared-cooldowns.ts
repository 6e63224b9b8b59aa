import { parsedJson } from '../../http/document.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { QuotaReading } from '../../http/rate-limit.ts';
import { aged, LONGEST_RESET_MS, type Report, reportsOf, type ScopeReports } from './cooldown-report.ts';
import type { CredentialQuota, CredentialReplicas } from './credential-quota.ts';
import type { Limiter, MeterKey } from './limiter.ts';
import {
  type CredentialListener,
  type LearnedUnits,
  PATIENCE_MS,
  type SharedCredential,
} from './shared-credential.ts';

/** One replica probes for this long. If it is gone, another one does after that. */
const LEASE_MS = 5_000;

/** Changes within this time are one message, except the first one. It bounds the messages of many replicas. */
const APART_MS = 100;

/** Learned limits change with each window, and all of them are written for replicas that start. So that is done no more often. */
const READINGS_APART_MS = 1_000;

export interface SharedCooldownsDeps {
  readonly clock: Clock;
  readonly quota: () => CredentialQuota;
  /** Calls that wait may leave, or can no longer leave in time. */
  readonly wake: () => void;
  /** Calls that wait may have got units. */
  readonly pump: () => void;
  /** The cooldown of a limiter starts by the report of another replica. */
  readonly onRemote: (limiter: Limiter) => void;
  /** The lease for a probe was requested. */
  readonly onLease: (granted: boolean) => void;
}

/** Shares the cooldowns of one credential with other replicas, and lets one of them probe. */
export class SharedCooldowns implements CredentialReplicas {
  readonly #shared: SharedCredential;
  readonly #deps: SharedCooldownsDeps;
  readonly #changed = new Set<string>();
  readonly #released = new Set<string>();
  /** Leases that are requested. */
  readonly #requested = new Set<string>();
  /** The latest news of each learned limit, and when it was learned. */
  readonly #readings = new Map<string, LearnedReading>();
  /** The names of readings that the others do not know. Only the latest of each is worth a message. */
  readonly #newReadings = new Set<string>();
  #waits = false;
  #keptAt = -Infinity;
  /** Writes what has changed since `#keptAt`. */
  #keepTimer: Timer | undefined;
  readonly #listener: CredentialListener = {
    heard: (text) => this.#apply(reportsOf(parsedJson(text))),
    lost: () => this.#keep(),
    pump: () => this.#deps.pump(),
  };

  constructor(shared: SharedCredential, deps: SharedCooldownsDeps) {
    this.#shared = shared;
    this.#deps = deps;
  }

  get count(): number {
    return this.#shared.replicas;
  }

  /** Reads what the others know. Until then no call leaves, for 50 ms at most. */
  start(): void {
    const { clock, quota, wake } = this.#deps;
    const { whole } = quota();
    if (!this.#shared.away) whole.hold(clock.now() + PATIENCE_MS);
    this.#shared.listen(this.#listener);
    void this.#shared.kept().then((kept) => {
      whole.hold(-Infinity);
      const [writtenMs, reports] = partsOf(kept?.text);
      const ageMs = Math.max(0, writtenMs - (kept?.leftMs ?? 0));
      this.#apply(reportsOf(reports).map(([scope, report]) => [scope, aged(report, ageMs)]));
      wake();
    });
  }

  /** No call uses the credential any more. */
  stop(): void {
    this.#shared.unlisten(this.#listener);
  }

  changed(scope: string): void {
    this.#changed.add(scope);
    if (!this.#waits) this.#report();
  }

  learned(scope: string, reading: QuotaReading, startedAt: number): void {
    const learned = { scope, reading, startedAt, at: this.#deps.clock.now() };
    const name = nameOf(scope, reading);
    if (!this.#readings.has(name) && this.#readings.size >= MOST_READINGS) this.#readings.clear();
    this.#readings.set(name, learned);
    this.#newReadings.add(name);
    if (!this.#waits) this.#report();
  }

  unitsOf(scope: string, limit: MeterKey): LearnedUnits {
    return this.#shared.learned(nameOf(scope, limit));
  }

  /** An operator has reset the quota. */
  clear(): void {
    this.#changed.clear();
    this.#readings.clear();
    this.#newReadings.clear();
    this.#shared.keep('', 0);
  }

  /** The others must know the result of a probe before one of them can get the lease for the next. */
  released(scope: string): void {
    if (this.#changed.has(scope)) this.#released.add(scope);
    else this.#shared.release(scope);
  }

  /** Requests the lease for the probes of a cooldown. */
  requestLease(scope: string): void {
    if (this.#requested.has(scope)) return;
    this.#requested.add(scope);
    const { clock, onLease, quota, wake } = this.#deps;
    void this.#shared.claim(scope, LEASE_MS).then((waitMs) => {
      this.#requested.delete(scope);
      onLease(waitMs === undefined);
      quota().limiterAt(scope)?.cooldown.leased(waitMs, LEASE_MS, clock.now());
      wake();
    });
  }

  #report(): void {
    const { clock, quota } = this.#deps;
    if (this.#changed.size > 0) this.#keep();
    else this.#keepSoon();
    for (const report of quota().reports(clock.now(), this.#changed))
      this.#shared.tell(JSON.stringify([report]));
    for (const name of this.#newReadings) {
      const reading = this.#readings.get(name);
      if (reading !== undefined) this.#shared.tell(JSON.stringify([reportOf(reading, clock.now())]));
    }
    for (const scope of this.#released) this.#shared.release(scope);
    this.#newReadings.clear();
    this.#changed.clear();
    this.#released.clear();
    this.#waits = true;
    clock.timer(APART_MS, () => {
      this.#waits = false;
      if (this.#changed.size + this.#newReadings.size > 0) this.#report();
    });
  }

  #keepSoon(): void {
    const { clock } = this.#deps;
    const waitMs = this.#keptAt + READINGS_APART_MS - clock.now();
    if (waitMs <= 0) this.#keep();
    else this.#keepTimer ??= clock.timer(waitMs, () => this.#keep());
  }

  /** For replicas that start. The time tells them how old the reports are, by the clock of the store. */
  #keep(): void {
    const { clock, quota } = this.#deps;
    const now = clock.now();
    this.#keepTimer?.cancel();
    [this.#keptAt, this.#keepTimer] = [now, undefined];
    const reports = [
      ...quota().reports(now),
      ...Array.from(this.#readings.values(), (reading) => reportOf(reading, now)),
    ].filter(([, report]) => keptMs(report) > 0);
    const ms = reports.reduce((most, [, report]) => Math.max(most, keptMs(report)), 0);
    this.#shared.keep(JSON.stringify([ms, reports]), ms);
  }

  #apply(reports: ScopeReports): void {
    const { clock, onRemote, quota, wake } = this.#deps;
    for (const [scope, report] of reports) {
      const started = quota().apply(scope, report, clock.now());
      if (started !== undefined) onRemote(started);
    }
    if (reports.length > 0) wake();
  }
}

interface LearnedReading {
  readonly scope: string;
  readonly reading: QuotaReading;
  readonly startedAt: number;
  readonly at: number;
}

/** Scopes are few, but an upstream can name them. */
const MOST_READINGS = 64;

const nameOf = (scope: string, { bucket, policy }: MeterKey): string =>
  JSON.stringify([scope, bucket, policy]);

function reportOf({ at, reading, scope, startedAt }: LearnedReading, now: number): ScopeReports[number] {
  return [scope, aged({ name: 'reading', reading, leftMsAgo: at - startedAt }, now - at)];
}

/** How long a report is of use. */
function keptMs(report: Report): number {
  if (report.name === 'over') return 0;
  if (report.name === 'active') return report.ms;
  const { resetMs = 0, windowMs = 0 } = report.reading;
  return Math.min(LONGEST_RESET_MS, Math.max(resetMs, windowMs));
}

/** The time for which a text was written, and its reports. */
function partsOf(text: string | undefined): readonly [writtenMs: number, reports: unknown] {
  const parsed = text === undefined ? undefined : parsedJson(text);
  if (!Array.isArray(parsed)) return [0, []];
  const [writtenMs, reports] = parsed as unknown[];
  return [typeof writtenMs === 'number' ? writtenMs : 0, reports];
}
