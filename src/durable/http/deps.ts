import type { RawHeaders } from '../../http/headers.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Cancellation } from '../cancellation.ts';
import type { ChangeNotifier } from '../change-notifier.ts';
import type { DurableRoute } from '../route.ts';
import type { Scheduler } from '../schedules/scheduler.ts';
import type { Store } from '../store/store.ts';

/** A call of the HTTP interface, however it came in. */
export interface ApiCall {
  readonly method: string;
  /** Below the prefix, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: RawHeaders;
  /** Who calls, as a request of that route would have said it (`Credentials.callerOf`). */
  readonly callerFor: (route: string) => string;
  /** The caller has the admin token, or came in by the admin listener. */
  readonly admin: boolean;
  readonly signal: Abort;
}

/** What the HTTP interface works on. */
export interface ApiDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly notifier: ChangeNotifier;
  /** Where the embedded store is; undefined where it is PostgreSQL. */
  readonly storeFile: string | undefined;
  readonly prefix: () => string;
  readonly routes: () => ReadonlyMap<string, DurableRoute>;
  /** True once the proxy drains: nobody is kept waiting any more. */
  readonly closing: () => boolean;
  readonly cancellation: Cancellation;
  readonly schedules: Scheduler;
  /** Something may be due, and those who wait for `id` look again. */
  readonly changed: (id?: string) => void;
}
