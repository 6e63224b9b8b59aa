import type { RouteConfig, RouteSettings, UpstreamConfig } from '../../config/config.ts';
import type { DurableRoute } from '../../durable/route.ts';
import { Router } from '../../routing/router.ts';
import { type DurableParts, durableRoute } from './durable-route.ts';

/** The parts of a route from which `durableRoute` builds it, durable or not. */
export type PollSide = Omit<DurableParts, 'polls'>;

/**
 * Finds the route of a poll. Its allow-list, breaker, limits, budget and header rules apply, with backoff, attempts
 * and deadline of the polling request.
 */
export class PollRoutes {
  readonly #upstream: UpstreamConfig;
  readonly #sides: PollSide[] = [];
  /** The places of the upstream's targets; undefined if it has none. */
  readonly places: DurableRoute['targets'];

  constructor(upstream: UpstreamConfig) {
    this.#upstream = upstream;
    this.places =
      upstream.targets &&
      new Map(upstream.targets.map(({ name, origin, basePath }) => [name, { origin, basePath }]));
  }

  /** Call it in the order of the configuration. */
  add(side: PollSide): void {
    this.#sides.push(side);
  }

  /** The poll upstream for requests of a route with these settings. Use it only after every route was added. */
  of({ settings }: Pick<RouteConfig, 'settings'>): DurableRoute['polls'] {
    if (settings.durable?.options.poll?.target === undefined) return undefined;
    const { origin, basePath } = this.#upstream;
    let router: Router<DurableRoute> | undefined;
    const routeOf = (target: string) => {
      router ??= this.#routerFor(settings);
      const match = router.match('GET', undefined, target.slice(basePath.length) || '/');
      return match.kind === 'route' ? match.route : match.why;
    };
    return { origin, basePath, routeOf };
  }

  #routerFor(asked: RouteSettings): Router<DurableRoute> {
    const { basePath, allow } = this.#upstream;
    const routes = this.#sides.flatMap((side) => {
      const { settings } = side.config;
      const { durable } = asked;
      // The lease is that of the polling request, so the shorter timeouts apply.
      const totalTimeoutMs = Math.min(settings.totalTimeoutMs, asked.totalTimeoutMs);
      const idleTimeoutMs = Math.min(settings.idleTimeoutMs, asked.idleTimeoutMs);
      const config = { ...side.config, settings: { ...settings, durable, totalTimeoutMs, idleTimeoutMs } };
      const route = durableRoute({ ...side, config, polls: undefined });
      return route === undefined ? [] : [{ methods: config.methods, path: config.path, route }];
    });
    return new Router([{ mount: { path: '' }, basePath, allow, routes }]);
  }
}
