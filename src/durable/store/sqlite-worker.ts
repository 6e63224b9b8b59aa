import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { realTime } from '../../runtime/clock.ts';
import { failureOf } from './sqlite-errors.ts';
import { SqliteFile } from './sqlite-file.ts';
import {
  type Answer,
  addTransfers,
  type FromWorker,
  type SentBatch,
  type ToWorker,
  type WorkerData,
} from './sqlite-protocol.ts';

/* The thread that owns the SQLite file. Batches that arrive during an fsync share the next one. */

/** Limits a commit, so that the first of many batches does not wait for the last. */
const MAX_BATCHES_PER_COMMIT = 1_000;

const { file } = workerData as WorkerData;
const port = parentPort as MessagePort;

function open(): SqliteFile | undefined {
  try {
    const opened = new SqliteFile(file);
    send({ kind: 'open', failure: undefined }, []);
    return opened;
  } catch (error) {
    send({ kind: 'open', failure: failureOf(error, file) }, []);
    return undefined;
  }
}

/** Handles all queued messages. Consecutive batches share a commit. */
function drain(db: SqliteFile, first: ToWorker): void {
  let gathered: SentBatch[] = [];
  for (let message: ToWorker | undefined = first; message !== undefined; message = next()) {
    if (message.kind === 'batches') {
      db.learn(message.texts);
      gathered.push(...message.batches);
      if (gathered.length < MAX_BATCHES_PER_COMMIT) continue;
    }
    commit(db, gathered);
    gathered = [];
    if (message.kind !== 'batches') void answerOther(db, message);
  }
  commit(db, gathered);
}

function next(): ToWorker | undefined {
  return receiveMessageOnPort(port)?.message as ToWorker | undefined;
}

function commit(db: SqliteFile, batches: readonly SentBatch[]): void {
  if (batches.length === 0) return;
  const begunAt = realTime();
  const answers = db.run(batches);
  const commitMs = realTime() - begunAt;
  const transfer: ArrayBuffer[] = [];
  for (const answer of answers)
    if ('tables' in answer) for (const table of answer.tables) addTransfers(table, transfer);
  send({ kind: 'answers', answers, commitMs }, transfer);
}

async function answerOther(db: SqliteFile, message: Exclude<ToWorker, { kind: 'batches' }>): Promise<void> {
  const answer = async (): Promise<Answer> => {
    try {
      if (message.kind === 'backup') await db.backup(message.file);
      if (message.kind === 'close') await db.close();
      return { id: message.id, value: message.kind === 'bytes' ? db.bytes() : 0 };
    } catch (error) {
      return { id: message.id, failure: failureOf(error, file) };
    }
  };
  send({ kind: 'answers', answers: [await answer()], commitMs: undefined }, []);
  if (message.kind === 'close') port.close();
}

function send(message: FromWorker, transfer: ArrayBuffer[]): void {
  port.postMessage(message, { transfer });
}

const db = open();
if (db === undefined) port.close();
else port.on('message', (message: ToWorker) => drain(db, message));
