import { X509Certificate } from 'node:crypto';
import type { Config } from '../../config/config.ts';
import { formatDuration } from '../../config/fields/format.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { OperatorEvent } from '../../telemetry/operator-events/event.ts';
import type { DurableSnapshot } from '../../telemetry/snapshot.ts';

const DAY_MS = 86_400_000;

/** An expiring certificate is reported from this time before its end, which leaves time for a renewal by hand. */
const CERTIFICATE_LEFT_MS = 14 * DAY_MS;

/** A backlog is counted in the store, so it is not looked at more often. */
const BACKLOG_EVERY_MS = 60_000;

export interface WatchDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  readonly durable: () => Promise<DurableSnapshot | undefined>;
  readonly report: (event: OperatorEvent) => void;
}

/** Looks regularly at what changes without an event: the age of backlogs, and the end of certificates. */
export class Watches {
  readonly #deps: WatchDeps;
  readonly #backlog = new BacklogWatch();
  #certificates: Timer | undefined;
  /** The next look at the backlog. */
  #look: Timer | undefined;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
  }

  setUp(config: Config): void {
    this.close();
    this.#lookAtCertificates(config);
    if (config.events !== undefined) this.#lookLater(config.events.backlogAgeMs);
  }

  close(): void {
    this.#certificates?.cancel();
    this.#look?.cancel();
    this.#look = undefined;
  }

  #lookAtCertificates(config: Config): void {
    const { clock, logger, report } = this.#deps;
    for (const event of expiringCertificates(config, clock.wallTime())) {
      logger.warn(event.details, event.summary);
      report(event);
    }
    this.#certificates = clock.timer(DAY_MS, () => this.#lookAtCertificates(config));
  }

  #lookLater(ageMs: number): void {
    this.#look = this.#deps.clock.timer(BACKLOG_EVERY_MS, () => void this.#lookAtBacklog(ageMs));
  }

  async #lookAtBacklog(ageMs: number): Promise<void> {
    const look = this.#look;
    // Without an answer of the store, its failure is reported.
    const found = await this.#deps.durable().catch(() => undefined);
    // It was closed meanwhile, or a reload began a look of its own.
    if (this.#look !== look) return;
    for (const event of found === undefined ? [] : this.#backlog.look(found, ageMs)) this.#deps.report(event);
    this.#lookLater(ageMs);
  }
}

/** The certificates of a configuration that end soon or have ended. `now`: wall-clock milliseconds. */
export function expiringCertificates(config: Config, now: number): OperatorEvent[] {
  return certificatesOf(config).flatMap(([name, pem]) => {
    const endsAt = Date.parse(new X509Certificate(pem).validTo);
    if (endsAt - now > CERTIFICATE_LEFT_MS) return [];
    const days = Math.floor((endsAt - now) / DAY_MS);
    const when = endsAt <= now ? 'has ended' : `ends in ${days} ${days === 1 ? 'day' : 'days'}`;
    return [
      {
        type: 'certificate.expiring',
        key: `certificate ${name}`,
        summary: `the certificate ${name} ${when} (${new Date(endsAt).toISOString()})`,
        details: { certificate: name, ends_at: new Date(endsAt).toISOString() },
      },
    ];
  });
}

/** The proxy's own certificates, by their keys. The first of a chain is the proxy's. */
function certificatesOf({ tls, upstreams }: Config): (readonly [name: string, pem: string])[] {
  const own = upstreams.flatMap(
    ({
      name,
      connection: {
        tls: { cert },
      },
    }) => (cert === undefined ? [] : [[`upstreams.${name}.tls.cert`, cert] as const]),
  );
  return tls === undefined ? own : [['tls.cert', tls.cert], ...own];
}

type OldestDue = DurableSnapshot['oldestDue'][number];

const nameOf = ({ upstream, route }: OldestDue): string => `${upstream}/${route}`;

/** Notices when requests of a route have been due for too long, and when that is over. */
export class BacklogWatch {
  readonly #old = new Map<string, OldestDue>();

  /** The changes since the last look. Only routes in the store are remembered, so their number is bounded. */
  look({ oldestDue }: Pick<DurableSnapshot, 'oldestDue'>, ageMs: number): OperatorEvent[] {
    const stored = new Set(oldestDue.map(nameOf));
    // A route without any request in the store is not in the snapshot.
    const emptied = [...this.#old.values()].filter((one) => !stored.has(nameOf(one)));
    const all = [...oldestDue, ...emptied.map((one) => ({ ...one, seconds: 0 }))];
    return all.flatMap((one) => {
      const { upstream, route, seconds } = one;
      const name = nameOf(one);
      const old = seconds * 1_000 >= ageMs;
      if (old === this.#old.has(name)) return [];
      if (old) this.#old.set(name, one);
      else this.#old.delete(name);
      const details = { upstream, route, oldest_due_seconds: Math.round(seconds) };
      const key = `backlog ${name}`;
      return [
        old
          ? {
              type: 'backlog.old',
              key,
              summary: `a durable request of ${name} has been due for ${formatDuration(Math.round(seconds) * 1_000)}`,
              details,
            }
          : { type: 'backlog.recovered', key, summary: `the backlog of ${name} is no longer old`, details },
      ];
    });
  }
}

/** Problems that a message names. The log has all of them. */
const MOST_PROBLEMS = 5;

/** The event of a reload; undefined if it was accepted as the one before. `refused`: the one before was refused. */
export function reloadEvent(
  result: { readonly ok: true } | { readonly ok: false; readonly errors: readonly string[] },
  refused: boolean,
): OperatorEvent | undefined {
  const key = 'config';
  if (result.ok)
    return refused
      ? { type: 'config.accepted', key, summary: 'the configuration was reloaded', details: {} }
      : undefined;
  const [first = 'no reason given'] = result.errors;
  const summary = `a new configuration was refused, and the running one stays in use: ${first}`;
  return {
    type: 'config.refused',
    key,
    summary,
    details: { problems: result.errors.slice(0, MOST_PROBLEMS) },
  };
}
