import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { freePort, type Running, start } from './process.ts';

/** Starts bench/programs/origin.ts and returns its port. */
export async function startOrigin(): Promise<number> {
  return (await startApi('origin')).port;
}

/** Starts an API of bench/programs. */
export async function startApi(program: string): Promise<Running & { readonly port: number }> {
  const port = await freePort();
  const file = fileURLToPath(new URL(`../programs/${program}.ts`, import.meta.url));
  return { ...(await start({ file: process.execPath, args: [file, String(port)] }, port)), port };
}

export interface OriginStats {
  /** Connections accepted so far, with those of these queries. */
  readonly connections: number;
  /** Of them, those that are open, with that of this query. */
  readonly open: number;
  /** Requests received so far, without these queries. */
  readonly requests: number;
}

export async function originStats(port: number): Promise<OriginStats> {
  const [res] = (await once(get({ host: '127.0.0.1', port, path: '/stats', agent: false }), 'response')) as [
    IncomingMessage,
  ];
  return (await json(res)) as OriginStats;
}
