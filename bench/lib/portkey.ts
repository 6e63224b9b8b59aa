import { fileURLToPath } from 'node:url';
import { type Contender, contender, type ProgramOptions } from './contenders.ts';
import { PEERS_MISSING } from './peers.ts';

/** A gateway on Node for calls to AI APIs, which also retries and limits. It names its upstream in the request. */
export function portkey(tempDir: string, { nodeArgs = [] }: ProgramOptions = {}): Contender {
  const file = fileURLToPath(new URL('../peers/portkey.ts', import.meta.url));
  return contender(
    '@portkey-ai/gateway',
    tempDir,
    ({ port }) => ({ file: process.execPath, args: [...nodeArgs, file, String(port)] }),
    {
      missing: PEERS_MISSING,
      headers: (originPort) => ({
        'x-portkey-provider': 'openai',
        'x-portkey-custom-host': `http://127.0.0.1:${originPort}/v1`,
        // It would compress the reply, which costs more than the rest.
        'accept-encoding': 'identity',
      }),
    },
  );
}
