import { LRUCache } from 'lru-cache';
import { Gcra } from './gcra.ts';
import type { QuotaWindow } from './options.ts';

interface Counted extends Pick<QuotaWindow, 'counts' | 'periodMs'> {
  readonly gcra: Gcra;
}

/** A window is the same one while its unit and its period are. Its limit and its burst may change. */
export const isSameWindow = (a: Omit<Counted, 'gcra'>, b: Omit<Counted, 'gcra'>): boolean =>
  a.counts === b.counts && a.periodMs === b.periodMs;

/** The used units of configured windows, as this process counts them. They outlive a change of the configuration. */
export class CountedWindows {
  #known: readonly Counted[] = [];
  /** By the name of the client; `clients.tokens` bounds them. */
  readonly #shares = new Map<string, CountedWindows>();

  /** The sources of units of these windows, in their order. The same window goes on, with its used units. Others are forgotten. */
  follow(windows: readonly QuotaWindow[], now: number): readonly Gcra[] {
    const before = [...this.#known];
    this.#known = windows.map((window) => {
      const { counts, periodMs } = window;
      const index = before.findIndex((known) => isSameWindow(known, window));
      const [same] = index < 0 ? [] : before.splice(index, 1);
      same?.gcra.follow(window, now);
      return same ?? { counts, periodMs, gcra: new Gcra(window) };
    });
    return this.#known.map(({ gcra }) => gcra);
  }

  /** The used units of the share of a client. */
  shareOf(client: string): CountedWindows {
    let share = this.#shares.get(client);
    if (share === undefined) this.#shares.set(client, (share = new CountedWindows()));
    return share;
  }
}

/** The least recently used credential is forgotten first. */
const MOST_CREDENTIALS = 1000;

/** The used units of all credentials of a quota, by a hash of the credential. */
export class CountedCredentials {
  /** `max` would reserve memory at once, and most upstreams have few credentials. */
  readonly #windows = new LRUCache<string, CountedWindows>({
    maxSize: MOST_CREDENTIALS,
    sizeCalculation: () => 1,
  });

  has(credential: string): boolean {
    return this.#windows.has(credential);
  }

  of(credential: string): CountedWindows {
    let windows = this.#windows.get(credential);
    if (windows === undefined) this.#windows.set(credential, (windows = new CountedWindows()));
    return windows;
  }

  /** For an operator: nothing is used. */
  clear(): void {
    this.#windows.clear();
  }
}
