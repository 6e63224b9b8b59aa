import type { Reply } from '../../http/reply.ts';
import { json, problem } from './answer.ts';
import type { ApiDeps } from './deps.ts';

/** `POST /backup`: makes a consistent copy of the embedded store next to it, without stopping it. */
export async function backUp({ clock, store, storeFile }: ApiDeps): Promise<Reply> {
  if (storeFile === undefined)
    return problem(409, 'a PostgreSQL store is backed up with the tools of PostgreSQL, such as pg_dump');
  // Milliseconds make the name unique.
  const moment = new Date(clock.wallTime()).toISOString().replaceAll(/[-:.]/g, '');
  const file = `${storeFile}.${moment}.backup`;
  await store.backup(file);
  return json(201, { file });
}
