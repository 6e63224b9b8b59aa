import { isDeepStrictEqual } from 'node:util';

interface Entry {
  readonly options: unknown;
  readonly value: unknown;
}

/**
 * State that survives a reload if its options are unchanged: breakers, budgets, limits, pools. A reload requests all state
 * between `begin` and `commit`. State that is not requested is dropped.
 */
export class RetainedState {
  #current = new Map<string, Entry>();
  #next = new Map<string, Entry>();

  begin(): void {
    this.#next = new Map();
  }

  /** The value of `key` if it was created with equal options, else a new one. */
  retain<T>(key: string, options: unknown, create: () => T): T {
    const known = this.#next.get(key) ?? this.#current.get(key);
    if (known !== undefined && isDeepStrictEqual(known.options, options)) {
      this.#next.set(key, known);
      return known.value as T;
    }
    const value = create();
    this.#next.set(key, { options, value });
    return value;
  }

  commit(): void {
    this.#current = this.#next;
  }
}
