import type { CallbackOptions, CallbackRoutes } from './callbacks/options.ts';
import type { DurableRoute } from './route.ts';

/** The routes of the running configuration, and those of callbacks, which come as they are needed. */
export class RouteTable {
  readonly #callbacks: CallbackRoutes;
  #routes = new Map<string, DurableRoute>();

  constructor(callbacks: CallbackRoutes) {
    this.#callbacks = callbacks;
  }

  get all(): ReadonlyMap<string, DurableRoute> {
    return this.#routes;
  }

  setUp(routes: readonly DurableRoute[], callbacks: CallbackOptions): void {
    this.#routes = new Map(routes.map((route) => [route.name, route]));
    this.#callbacks.setUp(callbacks);
  }

  get(name: string): DurableRoute | undefined {
    const known = this.#routes.get(name);
    if (known !== undefined) return known;
    const route = this.#callbacks.get(name);
    if (route !== undefined) this.#routes.set(name, route);
    return route;
  }

  close(): void {
    this.#callbacks.close();
  }
}
