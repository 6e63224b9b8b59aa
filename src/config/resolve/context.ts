import type { RouteConfig } from '../config.ts';
import type { SharedInput } from '../keys/schema.ts';
import type { Lookup } from '../read/interpolate.ts';
import type { Report } from '../read/report.ts';
import type { Complete, Inherited, Layer } from './inherit.ts';

/** Every setting of a route and of its upstream's connections, written or inherited. */
export type Settings = Complete<SharedInput>;

/** The values of each route in the form of the file, and where each was set. Settings of connections are in every route of their upstream. */
export type Origins = ReadonlyMap<RouteConfig, Inherited<Settings>>;

/** All that resolving an upstream needs: the outer layers, the report, and the sources of `${…}`. */
export interface ResolveContext {
  readonly builtIn: Layer;
  readonly defaults: Layer;
  readonly report: Report;
  readonly origins: Map<RouteConfig, Inherited<Settings>>;
  readonly lookup: Lookup;
}
