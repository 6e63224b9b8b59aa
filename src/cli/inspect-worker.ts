import { parentPort, workerData } from 'node:worker_threads';
import { listingIn, readingIn } from '../config/load.ts';
import { orDemo } from './demo-config.ts';
import { inspect } from './inspect.ts';
import type { InspectRequest } from './inspect-thread.ts';

/** The thread of `Inspector`: answers one question. */
const { file, env, cwd, demo, question } = workerData as InspectRequest;
const read = readingIn(cwd);
parentPort?.postMessage(
  await inspect(question, {
    file,
    env,
    readFile: demo ? orDemo(read, file) : read,
    listFolder: listingIn(cwd),
  }),
);
