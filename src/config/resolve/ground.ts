import type { RouteConfig } from '../config.ts';
import type { SharedInput } from '../keys/schema.ts';
import type { Lookup } from '../read/interpolate.ts';
import type { Report } from '../read/report.ts';
import type { Complete, Inherited, Layer } from './inherit.ts';

/** Every setting of a route and of its upstream's connections, as written or inherited. */
export type Settings = Complete<SharedInput>;

/** Each route's values as the file has them, and who set them; those of an upstream's connections are in every route of it. */
export type Origins = ReadonlyMap<RouteConfig, Inherited<Settings>>;

/** What an upstream's values rest on. */
export interface Ground {
  readonly builtIn: Layer;
  readonly defaults: Layer;
  readonly report: Report;
  readonly origins: Map<RouteConfig, Inherited<Settings>>;
  readonly lookup: Lookup;
}
