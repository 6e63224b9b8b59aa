import { Worker } from 'node:worker_threads';
import { endOfTurn } from '../../runtime/event-loop.ts';
import {
  type Db,
  type DbOptions,
  type Purpose,
  type Row,
  type Statement,
  StoreError,
  type Value,
} from './db.ts';
import {
  type Answer,
  type FromWorker,
  type SentBatch,
  type SentRows,
  type SentText,
  type ToWorker,
  transferable,
  type WorkerData,
} from './sqlite-protocol.ts';

/** The worker is next to this file, both in the source and in the bundle. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js',
  import.meta.url,
);

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: StoreError) => void;
}

/** Opens the SQLite file in a worker thread. Rejects with a StoreError if it cannot be opened. */
export async function openSqlite(file: string, options: DbOptions = {}): Promise<Db> {
  const worker = new Worker(WORKER, { workerData: { file } satisfies WorkerData, execArgv: [] });
  const db = new SqliteDb(worker, file, options);
  await db.opened;
  return db;
}

/** Copies of an object that `JSON.parse` has made are smaller than those of one from `fromEntries`. */
const emptyRow = (columns: readonly string[]): Row =>
  JSON.parse(JSON.stringify(Object.fromEntries(columns.map((name) => [name, null])))) as Row;

/** A copy of an object that has all names is made faster than one by name, and an iterator would make an object for each value. */
function rowsOf({ columns, rows }: SentRows, empty: Row): Row[] {
  return rows.map((values) => {
    const row: Record<string, Value> = { ...empty };
    for (let i = 0; i < columns.length; i++) row[columns[i] as string] = values[i] ?? null;
    return row;
  });
}

const isBytes = (value: Value): value is Uint8Array => value instanceof Uint8Array;

/** The main thread's side. Sends the batches of one event loop turn as one message, and distributes the answers. */
class SqliteDb implements Db {
  readonly dialect = 'sqlite';
  readonly opened: Promise<void>;
  readonly #worker: Worker;
  readonly #file: string;
  readonly #onCommit: DbOptions['onCommit'];
  readonly #waiting = new Map<number, Waiting>();
  /** The numbers of the statements that the worker knows, by their SQL. */
  readonly #known = { preconditions: new Map<string, number>(), others: new Map<string, number>() };
  #count = 0;
  /** A row of each statement. */
  readonly #empty = new Map<string, Row>();
  readonly #exited: Promise<void>;
  #id = 0;
  #texts: SentText[] = [];
  #gathered: SentBatch[] = [];
  #transfer: ArrayBuffer[] = [];
  #end: StoreError | undefined;

  constructor(worker: Worker, file: string, options: DbOptions) {
    this.#worker = worker;
    this.#file = file;
    this.#onCommit = options.onCommit;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    this.opened = new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'answers') return this.#receive(message);
        if (message.failure === undefined) return resolve();
        reject(new StoreError(message.failure.problem, message.failure.message));
      });
      // The worker failed by a bug or lack of memory: all pending and later calls reject.
      worker.once('error', (error: Error) => {
        this.#ended(new StoreError('failed', `durable store ${file}: ${error.message}`, error));
        reject(this.#end);
      });
      worker.once('exit', () => this.#ended(this.#closed()));
    });
  }

  batch(statements: readonly Statement[], purpose: Purpose = 'finish'): Promise<readonly (readonly Row[])[]> {
    const asked = this.#ask((id) =>
      this.#gather({
        id,
        texts: statements.map(this.#textOf),
        params: statements.map(this.#paramsOf),
        purpose,
      }),
    );
    return asked.then((answer) =>
      'tables' in answer
        ? answer.tables.map((table, i) => this.#rowsOf(table, (statements[i] as Statement).sql))
        : [],
    );
  }

  async backup(file: string): Promise<void> {
    await this.#ask((id) => this.#post({ kind: 'backup', id, file }));
  }

  async bytes(): Promise<number> {
    const answer = await this.#ask((id) => this.#post({ kind: 'bytes', id }));
    return 'value' in answer ? answer.value : 0;
  }

  async close(): Promise<void> {
    if (this.#end !== undefined) return this.#exited;
    const closed = this.#ask((id) => this.#post({ kind: 'close', id }));
    this.#end = this.#closed();
    await closed;
    await this.#exited;
  }

  #rowsOf(table: SentRows, sql: string): Row[] {
    if (table.rows.length === 0) return [];
    let empty = this.#empty.get(sql);
    if (empty === undefined) this.#empty.set(sql, (empty = emptyRow(table.columns)));
    return rowsOf(table, empty);
  }

  #ask(send: (id: number) => void): Promise<Answer> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(id);
    });
  }

  #gather(batch: SentBatch): void {
    this.#gathered.push(batch);
    if (this.#gathered.length === 1) endOfTurn(() => this.#flush());
  }

  #flush(): void {
    if (this.#gathered.length === 0) return;
    const [texts, batches, transfer] = [this.#texts, this.#gathered, this.#transfer];
    this.#texts = [];
    this.#gathered = [];
    this.#transfer = [];
    this.#worker.postMessage({ kind: 'batches', texts, batches } satisfies ToWorker, transfer);
  }

  /** Sends the gathered batches first, to keep the order. */
  #post(message: ToWorker): void {
    this.#flush();
    this.#worker.postMessage(message);
  }

  readonly #paramsOf = ({ params }: Statement): readonly Value[] =>
    params.some(isBytes) ? params.map(this.#transferable) : params;

  readonly #transferable = (value: Value): Value =>
    isBytes(value) ? transferable(value, this.#transfer) : value;

  /** In SQLite, `$1` is a named parameter and `?1` a numbered one. */
  readonly #textOf = (statement: Statement): number => {
    const { sql } = statement;
    const precondition = statement.precondition === true;
    const known = this.#known[precondition ? 'preconditions' : 'others'];
    const number = known.get(sql);
    if (number !== undefined) return number;
    known.set(sql, this.#count);
    this.#texts.push({ sql: sql.replace(/\$(\d+)/g, '?$1'), precondition });
    return this.#count++;
  };

  #receive({ answers, commitMs }: Extract<FromWorker, { kind: 'answers' }>): void {
    if (commitMs !== undefined) this.#onCommit?.(commitMs, answers.length);
    for (const answer of answers) {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('failure' in answer)
        waiting?.reject(new StoreError(answer.failure.problem, answer.failure.message));
      else waiting?.resolve(answer);
    }
  }

  #ended(error: StoreError): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }

  #closed(): StoreError {
    return new StoreError('closed', `durable store ${this.#file}: closed`);
  }
}
