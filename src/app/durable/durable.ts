import { Durable, type DurableDeps, type DurableSetup } from '../../durable/durable.ts';
import type { Store } from '../../durable/store/store.ts';
import { CallbackHosts } from './callback-delivery.ts';

export type StartDeps = Omit<DurableDeps, 'store' | 'shared' | 'callbackRoutes'>;

/** Continues the requests of a store, and closes it if that fails. Loaded only if a route is durable. */
export async function startDurable(setup: DurableSetup, store: Store, deps: StartDeps): Promise<Durable> {
  try {
    const shared = /^postgres(ql)?:/.test(setup.process.store);
    return await Durable.start(setup, { ...deps, store, shared, callbackRoutes: new CallbackHosts(deps) });
  } catch (error) {
    await store.close();
    throw error;
  }
}
