import { Durable, type DurableDeps, type DurableSetup } from '../../durable/durable.ts';
import { openStore } from '../../durable/store/open.ts';
import { CallbackHosts } from './callback-delivery.ts';

export type OpenDeps = Omit<DurableDeps, 'store' | 'shared' | 'callbackRoutes'>;

/** Opens the store and continues its requests. Loaded only if a route is durable. */
export async function openDurable(setup: DurableSetup, deps: OpenDeps): Promise<Durable> {
  const { store: where } = setup.process;
  const onCommit = (ms: number) => deps.observer.stateChanged('', { type: 'store_committed', scope: '', ms });
  const store = await openStore(where, { onCommit });
  try {
    const shared = /^postgres(ql)?:/.test(where);
    return await Durable.start(setup, { ...deps, store, shared, callbackRoutes: new CallbackHosts(deps) });
  } catch (error) {
    await store.close();
    throw error;
  }
}
