import type { DurableSnapshot } from '../telemetry/snapshot.ts';
import { CALLBACK_ROUTE } from './callbacks/options.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

/** Counts of the store at `now`. Undefined if the store does not answer. */
export async function snapshotOf(
  store: Pick<Store, 'bytes' | 'counts'>,
  now: number,
): Promise<DurableSnapshot | undefined> {
  try {
    const [all, storeBytes] = await Promise.all([store.counts(), store.bytes()]);
    // Callback hosts are not used as metric labels, because their number has no bound.
    const counts = all.map((entry) =>
      entry.route.startsWith(CALLBACK_ROUTE) ? { ...entry, route: '/callbacks' } : entry,
    );
    const equal = Map.groupBy(counts, ({ route, status }) => `${route} ${status}`);
    const requests = [...equal.values()].flatMap((entries) => {
      const count = entries.reduce((sum, entry) => sum + entry.count, 0);
      return entries.slice(0, 1).map(({ route, status }) => ({ ...named(route), status, count }));
    });
    const routes = Map.groupBy(counts, ({ route }) => route);
    const oldestDue = [...routes].map(([route, entries]) => {
      const due = entries.flatMap(({ oldestDueAt }) => oldestDueAt ?? []);
      return { ...named(route), seconds: Math.max(0, now - Math.min(now, ...due)) / 1000 };
    });
    return { requests, oldestDue, storeBytes };
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

function named(name: string): { upstream: string; route: string } {
  const slash = name.indexOf('/');
  return { upstream: name.slice(0, slash), route: name.slice(slash + 1) };
}
