import { isDeepStrictEqual } from 'node:util';

/** State that has something to report when a reload drops it. */
export interface Droppable {
  dropped(): void;
}

interface Entry {
  readonly options: unknown;
  readonly value: unknown;
}

/**
 * State that survives a reload if its options are unchanged: breakers, budgets, limits, pools. A reload requests all state
 * between `begin` and `commit`. State that is not requested is dropped.
 */
export class RetainedState implements Droppable {
  #current = new Map<string, Entry>();
  #next = new Map<string, Entry>();

  begin(): void {
    this.#next = new Map();
  }

  /** The value of `key` if it was created with equal options, else a new one. */
  retain<T>(key: string, options: unknown, create: () => T): T {
    const entry = this.#known(key, options) ?? { options, value: create() };
    this.#next.set(key, entry);
    return entry.value as T;
  }

  /** The value that `retain` would not create. */
  find<T>(key: string, options: unknown): T | undefined {
    return this.#known(key, options)?.value as T | undefined;
  }

  #known(key: string, options: unknown): Entry | undefined {
    const known = this.#next.get(key) ?? this.#current.get(key);
    return known !== undefined && isDeepStrictEqual(known.options, options) ? known : undefined;
  }

  commit(): void {
    const before = this.#current;
    this.#current = this.#next;
    for (const [key, { value }] of before) if (this.#current.get(key)?.value !== value) drop(value);
  }

  /** Drops all state. */
  dropped(): void {
    for (const { value } of this.#current.values()) drop(value);
  }
}

function drop(value: unknown): void {
  if (isDroppable(value)) value.dropped();
}

const isDroppable = (value: unknown): value is Droppable =>
  typeof value === 'object' && value !== null && 'dropped' in value;
