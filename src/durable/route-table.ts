import type { CallbackOptions } from './callbacks/options.ts';
import type { DurableRoute } from './route.ts';

/** Routes of the recently used callback origins. Each has its own breaker. */
export interface CallbackRoutes extends Iterable<DurableRoute> {
  /** Undefined if `name` is not the route of a callback. */
  get(name: string): DurableRoute | undefined;
  setUp(options: CallbackOptions): void;
  close(): void;
}

/** The routes of the running configuration, and callback routes, which are created on demand. */
export class RouteTable implements Iterable<DurableRoute> {
  readonly #callbacks: CallbackRoutes;
  #routes: ReadonlyMap<string, DurableRoute> = new Map();

  constructor(callbacks: CallbackRoutes) {
    this.#callbacks = callbacks;
  }

  *[Symbol.iterator](): Generator<DurableRoute> {
    yield* this.#routes.values();
    yield* this.#callbacks;
  }

  /** All routes by name. */
  get all(): ReadonlyMap<string, DurableRoute> {
    return new Map([...this].map((route) => [route.name, route]));
  }

  setUp(routes: readonly DurableRoute[], callbacks: CallbackOptions): void {
    this.#routes = new Map(routes.map((route) => [route.name, route]));
    this.#callbacks.setUp(callbacks);
  }

  get(name: string): DurableRoute | undefined {
    return this.#routes.get(name) ?? this.#callbacks.get(name);
  }

  close(): void {
    this.#callbacks.close();
  }
}
