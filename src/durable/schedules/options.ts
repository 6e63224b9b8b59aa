import type { RawHeaders } from '../../http/headers.ts';

/** A request that is created at the times of a cron expression. */
export interface ScheduleOptions {
  readonly name: string;
  /** In the syntax of `parseCron`. */
  readonly cron: string;
  /** IANA time zone. */
  readonly timezone: string;
  /** While the previous run is unfinished: `skip` the slot, or `queue` the new run behind it. */
  readonly overlap: 'skip' | 'queue';
  /** Handling of slots that were missed while no process was running. */
  readonly catchup: 'latest' | 'none';
  /** `upstream/route`. */
  readonly route: string;
  /** The tenant to whose host it is sent; '' if the upstream has no tenants. */
  readonly tenant: string;
  readonly method: string;
  /** Path and query sent to the upstream. */
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: string;
  /** The header that carries the idempotency key of each run. Undefined if the route trusts none. */
  readonly keyHeader: string | undefined;
}
