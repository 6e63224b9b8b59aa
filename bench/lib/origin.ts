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
