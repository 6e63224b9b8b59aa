import { syncBuiltinESMExports } from 'node:module';
import { DatabaseSync } from 'node:sqlite';
import { isMainThread, Worker, type WorkerOptions } from 'node:worker_threads';

/** Faults of the play in the process: times are for the wall clock of all threads, `disk` is for the store. */
export type Fault = { readonly clockOffMs: number } | { readonly disk: 'full' | 'free' };

/** SQLite's own default. */
const MOST_PAGES = 4_294_967_294;

// Preloaded into the proxy's process and, from here, into the thread of its store.
const channel = new BroadcastChannel('faults') as BroadcastChannel & { unref(): void };
channel.unref();
const stores = new Set<DatabaseSync>();
const realNow = Date.now.bind(Date);
let clockOffMs = 0;
Date.now = () => realNow() + clockOffMs;

const exec = Object.getOwnPropertyDescriptor(DatabaseSync.prototype, 'exec')?.value as (sql: string) => void;
DatabaseSync.prototype.exec = function (sql: string): void {
  stores.add(this);
  exec.call(this, sql);
};

const threads = process.getBuiltinModule('node:worker_threads') as { Worker: typeof Worker };
threads.Worker = class extends Worker {
  constructor(file: string | URL, options: WorkerOptions) {
    const both = `import(${JSON.stringify(import.meta.url)}).then(() => import(${JSON.stringify(String(file))}))`;
    super(both, { ...options, eval: true });
  }
};
syncBuiltinESMExports();

channel.onmessage = ({ data }: MessageEvent) => apply(data as Fault);
if (isMainThread)
  process.on('message', (message) => {
    if (typeof message !== 'object') return;
    apply(message as Fault);
    channel.postMessage(message);
  });

function apply(fault: Fault): void {
  if ('clockOffMs' in fault) clockOffMs = fault.clockOffMs;
  else for (const store of stores) limit(store, fault.disk);
}

/** A file that may not grow is as good as a full disk: SQLite says SQLITE_FULL to both. */
function limit(store: DatabaseSync, disk: 'full' | 'free'): void {
  const pages =
    disk === 'free' ? MOST_PAGES : Number(store.prepare('PRAGMA page_count').get()?.['page_count']);
  store.exec(`PRAGMA max_page_count = ${pages}`);
}
