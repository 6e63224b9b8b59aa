/** Learns of an abort: a function, or an object without the cost of one. */
export type AbortListener = (() => void) | { onAbort(): void };

/**
 * Ends a call, once, with a reason. It replaces AbortController and AbortSignal at a fraction of their cost: an AbortSignal
 * with one listener costs more than the whole retry policy. A child follows its parent without `AbortSignal.any`.
 */
export class Abort {
  readonly #parent: Abort | undefined;
  #reason: Error | undefined;
  /** The first listener. Most signals have no other, so it needs no list. */
  #first: AbortListener | undefined;
  #others: AbortListener[] | undefined;

  /** A child is aborted when its parent is. It listens to its parent only while somebody listens to it, so it needs no end. */
  constructor(parent?: Abort) {
    this.#parent = parent;
  }

  get aborted(): boolean {
    return this.reason !== undefined;
  }

  get reason(): Error | undefined {
    return this.#reason ?? this.#parent?.reason;
  }

  /** Number of listeners; 0 after a finished call. */
  get listenerCount(): number {
    return (this.#first === undefined ? 0 : 1) + (this.#others?.length ?? 0);
  }

  /** The first reason wins; later calls change nothing. */
  abort(reason: Error): void {
    if (this.aborted) return;
    this.#reason = reason;
    this.#parent?.off(this);
    this.onAbort();
  }

  /** Calls `listener` once on abort. Check `aborted` first: after the abort, a new listener is never called. */
  on(listener: AbortListener): void {
    if (this.listenerCount === 0) this.#parent?.on(this);
    if (this.#first === undefined) this.#first = listener;
    else (this.#others ??= []).push(listener);
  }

  off(listener: AbortListener): void {
    const index = this.#others?.indexOf(listener) ?? -1;
    if (this.#first === listener) this.#first = undefined;
    else if (index >= 0) this.#others?.splice(index, 1);
    else return;
    if (this.listenerCount === 0) this.#parent?.off(this);
  }

  /** The parent was aborted. */
  onAbort(): void {
    const first = this.#first;
    const others = this.#others;
    this.#first = undefined;
    this.#others = undefined;
    if (first !== undefined) tell(first);
    if (others !== undefined) for (const listener of others) tell(listener);
  }
}

function tell(listener: AbortListener): void {
  if (typeof listener === 'function') listener();
  else listener.onAbort();
}
