import type { RawHeaders } from '../../http/headers.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Cancellation } from '../cancellation.ts';
import type { ChangeNotifier } from '../change-notifier.ts';
import type { DurableRoute } from '../route.ts';
import type { Scheduler } from '../schedules/scheduler.ts';
import type { Store } from '../store/store.ts';

/** A call of the HTTP API, through either listener. */
export interface ApiCall {
  readonly method: string;
  /** Path below the prefix, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: RawHeaders;
  /** The identities that the caller may have in a request of that route (`Credentials.callerOf`). */
  readonly callersFor: (route: string) => readonly string[];
  /** The call has the admin token, or came in through the admin listener. */
  readonly admin: boolean;
  readonly signal: Abort;
}

/** Dependencies of the HTTP API. */
export interface ApiDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly notifier: ChangeNotifier;
  /** Path of the embedded store. Undefined for PostgreSQL. */
  readonly storeFile: string | undefined;
  readonly prefix: () => string;
  readonly routes: () => ReadonlyMap<string, DurableRoute>;
  /** True while the proxy drains: long polls are answered at once. */
  readonly closing: () => boolean;
  readonly cancellation: Cancellation;
  readonly schedules: Scheduler;
  /** Call this after a change: wakes the runner, and the subscribers of `id`. */
  readonly changed: (id?: string) => void;
}
