import { appended } from './appended.ts';

type Listener = () => void;

/**
 * Ends a call, once, with a reason. It replaces AbortController and AbortSignal at a fraction of their cost: an AbortSignal
 * with one listener costs more than the whole retry policy. A child follows its parent without `AbortSignal.any`.
 */
export class Abort {
  #reason: Error | undefined;
  #listeners: Listener[] | undefined;
  readonly #parent: Abort | undefined;
  readonly #follow: Listener | undefined;

  /** A child aborts when its parent does. Call `detach()` when the work of the child is done. */
  constructor(parent?: Abort) {
    this.#parent = parent;
    if (parent === undefined) return;
    if (parent.aborted) this.#reason = parent.reason;
    else parent.on((this.#follow = () => this.abort(parent.reason as Error)));
  }

  get aborted(): boolean {
    return this.#reason !== undefined;
  }

  get reason(): Error | undefined {
    return this.#reason;
  }

  /** Number of listeners; 0 after a finished call. */
  get listenerCount(): number {
    return this.#listeners?.length ?? 0;
  }

  /** The first reason wins; later calls change nothing. */
  abort(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    this.detach();
    if (listeners !== undefined) for (const listener of listeners) listener();
  }

  /** Calls `listener` once on abort. Check `aborted` first: after the abort, a new listener is never called. */
  on(listener: Listener): void {
    this.#listeners = appended(this.#listeners, listener);
  }

  off(listener: Listener): void {
    const index = this.#listeners?.indexOf(listener) ?? -1;
    if (index >= 0) this.#listeners?.splice(index, 1);
  }

  /** Stops following the parent. */
  detach(): void {
    if (this.#follow !== undefined) this.#parent?.off(this.#follow);
  }
}
