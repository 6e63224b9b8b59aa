/** Lets a test wait for a named thing: "the condition holds", asked again after each change. */
export class Changes {
  #waiting: Array<() => void> = [];

  /** Something has changed: all waiting conditions are checked again. */
  notify(): void {
    for (const look of this.#waiting.splice(0)) look();
  }

  /** Resolves as soon as `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
