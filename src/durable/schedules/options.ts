import type { RawHeaders } from '../../http/headers.ts';

/** A request that is made again and again. */
export interface ScheduleOptions {
  readonly name: string;
  /** As `parseCron` reads it. */
  readonly cron: string;
  /** IANA. */
  readonly timezone: string;
  /** While the run before goes on: `skip` the slot, or `queue` behind it. */
  readonly overlap: 'skip' | 'queue';
  /** What is done about slots that came while no process was there. */
  readonly catchup: 'latest' | 'none';
  /** `upstream/route`. */
  readonly route: string;
  readonly method: string;
  /** What the upstream gets. */
  readonly target: string;
  readonly headers: RawHeaders;
  readonly body: string;
  /** The header of the idempotency key that each run is given; undefined where the route trusts none. */
  readonly keyHeader: string | undefined;
}
