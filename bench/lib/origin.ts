import { fileURLToPath } from 'node:url';
import { freePort, start } from './process.ts';

/** Starts bench/programs/origin.ts and returns its port. */
export async function startOrigin(): Promise<number> {
  const port = await freePort();
  const file = fileURLToPath(new URL('../programs/origin.ts', import.meta.url));
  await start({ file: process.execPath, args: [file, String(port)] }, port);
  return port;
}
