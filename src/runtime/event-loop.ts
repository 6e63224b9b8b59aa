/** Runs `callback` when the event loop has handled all input that has arrived by now, to pass on gathered items together. */
export function endOfTurn(callback: () => void): void {
  setImmediate(callback);
}

/** Lets the event loop handle what has arrived. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

/** Long work in small steps. Between two steps it may be paused. */
export type Steps<T> = Generator<undefined, T>;

/** Takes all steps at once. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Takes `size` steps in each turn of the event loop, so that other work need not wait for all of them. */
export async function inSlices<T>(steps: Steps<T>, size: number): Promise<T> {
  for (let count = 1; ; count += 1) {
    const step = steps.next();
    if (step.done) return step.value;
    if (count % size === 0) await nextTurn();
  }
}
