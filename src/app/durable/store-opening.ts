import type { Store } from '../../durable/store/store.ts';

/** A store that is being opened. */
export class StoreOpening {
  /** Rejects with a StoreError if the store cannot be opened. */
  readonly store: Promise<Store>;
  /** Called after each commit with its duration in milliseconds. */
  onCommit: (ms: number) => void = () => undefined;

  private constructor(open: (onCommit: (ms: number) => void) => Promise<Store>) {
    this.store = open((ms) => this.onCommit(ms));
    // It may fail before the app waits for it.
    this.store.catch(() => undefined);
  }

  /** Resolves when the thread of the store starts. What it needs is loaded on demand: most processes have no store. */
  static async begin(where: string): Promise<StoreOpening> {
    const { openStore } = await import('../../durable/store/open.ts');
    return new StoreOpening((onCommit) => openStore(where, { onCommit }));
  }
}
