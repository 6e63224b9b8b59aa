import { isDeepStrictEqual } from 'node:util';
import type { OwnState, RouteSettings } from '../config.ts';
import type { Layer } from './inherit.ts';

type Written = Partial<Record<'retry' | 'breaker' | 'concurrency' | 'quota', object>>;

/**
 * The policy states that a route does not share. A policy that the route writes has its own state, even if the values equal
 * those of the upstream. What differs from the upstream for another reason (a preset, an injected credential) cannot be
 * shared. `layers`: those that are about the route alone.
 */
export function ownState(
  settings: Pick<RouteSettings, keyof OwnState>,
  shared: Pick<RouteSettings, keyof OwnState>,
  layers: readonly Layer[],
): OwnState {
  const written = (writes: (values: Written) => boolean): boolean =>
    layers.some(({ values }) => writes(values as Written));
  const differs = (name: keyof OwnState): boolean => !isDeepStrictEqual(settings[name], shared[name]);
  return {
    budget: written(({ retry }) => retry !== undefined && 'budget' in retry) || differs('budget'),
    breaker: written(({ breaker }) => breaker !== undefined) || differs('breaker'),
    concurrency: written(({ concurrency }) => concurrency !== undefined) || differs('concurrency'),
    // A quota is a fact of the credential.
    quota: written(({ quota }) => quota !== undefined) || differs('quota') || differs('auth'),
    auth: differs('auth'),
    // Routes that cache alike see each other's changes.
    cache: differs('cache'),
    dedupe: differs('dedupe'),
  };
}
