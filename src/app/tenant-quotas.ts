import { type Droppable, RetainedState } from './retained-state.ts';

/** The quotas of the tenants of one upstream. They outlive a reload that changes the upstream. */
export class TenantQuotas implements Droppable {
  /** The most recently made tenant is the last one. */
  readonly #states = new Map<string, RetainedState>();

  /** Where the quotas of a tenant are retained, of `most` tenants. The least recently made one is forgotten first. */
  of(tenant: string, most: number): RetainedState {
    const state = this.#states.get(tenant) ?? new RetainedState();
    this.#states.delete(tenant);
    this.#states.set(tenant, state);
    for (const name of this.#states.keys()) if (this.#states.size > most) this.forget(name);
    return state;
  }

  forget(tenant: string): void {
    this.#states.get(tenant)?.dropped();
    this.#states.delete(tenant);
  }

  /** Forgets all but these. */
  keep(isKept: (tenant: string) => boolean): void {
    for (const name of this.#states.keys()) if (!isKept(name)) this.forget(name);
  }

  dropped(): void {
    this.keep(() => false);
  }
}
