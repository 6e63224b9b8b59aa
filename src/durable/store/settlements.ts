import { endOfTurn } from '../../runtime/event-loop.ts';
import { isOfOneRow, type Row, type Statement, StoreError } from './db.ts';
import type { Dialect } from './dialect.ts';
import { number, text } from './rows.ts';
import { isShareable, settleBatch, settleTogether } from './settle.ts';
import type { Settlement } from './store.ts';

/** Transactions that run at once. Settlements that arrive meanwhile share the next one. */
const MAX_RUNNING = 2;

/** Bytes of the bodies in one transaction. A larger settlement has its own. */
const MAX_BYTES = 1024 * 1024;

type Run = (statements: readonly Statement[]) => Promise<readonly (readonly Row[])[]>;

interface Waiting {
  readonly settlement: Settlement;
  readonly resolve: (held: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Stores settlements, several in one transaction if the database gains by that. One that cannot be stored does not
 * fail the others: they are then stored one by one.
 */
export class Settlements {
  readonly #run: Run;
  readonly #dialect: Dialect;
  #waiting: Waiting[] = [];
  #running = 0;
  /** Those that failed by themselves. They are offered again, and must not hold up others each time. */
  readonly #refused = new WeakSet<Settlement>();

  constructor(run: Run, dialect: Dialect) {
    this.#run = run;
    this.#dialect = dialect;
  }

  /** False if the attempt is no longer held. */
  settle(settlement: Settlement): Promise<boolean> {
    if (this.#dialect.rows === 1 || !isShareable(settlement) || this.#refused.has(settlement))
      return this.#alone(settlement);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ settlement, resolve, reject });
      if (this.#waiting.length === 1) endOfTurn(() => this.#next());
    });
  }

  /** Starts to store all that wait, before the database is closed. */
  flush(): void {
    while (this.#waiting.length > 0) void this.#together(this.#taken());
  }

  #next(): void {
    while (this.#waiting.length > 0 && this.#running < MAX_RUNNING)
      void this.#together(this.#taken()).then(() => this.#next());
  }

  #taken(): Waiting[] {
    let bytes = 0;
    const all = this.#waiting.slice(0, this.#dialect.rows);
    const over = all.findIndex(({ settlement }) => (bytes += bytesOf(settlement)) > MAX_BYTES);
    return this.#waiting.splice(0, over < 0 ? all.length : Math.max(1, over));
  }

  /** Never rejects. */
  async #together(all: readonly Waiting[]): Promise<void> {
    this.#running++;
    try {
      const results = await this.#run([settleTogether(all.map(({ settlement }) => settlement))]);
      // A request may be here twice: after a lost lease, this process may have claimed it again.
      const held = new Set(results[0]?.map((row) => `${number(row, 'attempt')} ${text(row, 'id')}`));
      for (const { settlement, resolve } of all)
        resolve(held.delete(`${settlement.attempt} ${settlement.id}`));
    } catch (error) {
      if (all.length > 1 && error instanceof StoreError && isOfOneRow(error)) this.#oneByOne(all);
      else for (const { reject } of all) reject(error);
    } finally {
      this.#running--;
    }
  }

  #oneByOne(all: readonly Waiting[]): void {
    for (const { settlement, resolve, reject } of all)
      this.#alone(settlement).then(resolve, (error: unknown) => {
        this.#refused.add(settlement);
        reject(error);
      });
  }

  async #alone(settlement: Settlement): Promise<boolean> {
    const batch = settleBatch(settlement, this.#dialect);
    const results = await this.#run(batch);
    return results[batch.findIndex((statement) => statement.precondition === true)]?.length === 1;
  }
}

function bytesOf({ response, entry }: Settlement): number {
  return (response?.body.byteLength ?? 0) + (entry?.replyHead?.byteLength ?? 0);
}
