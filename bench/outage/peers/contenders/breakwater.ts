import { fileURLToPath } from 'node:url';
import { type Command, freePort } from '../../../lib/process.ts';
import { type Contender, type Place, packageJsonVersion, written } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/** The built-in policy with RPB-1's timeouts and nothing else; and with nothing at all. */
export const breakwater = breakwaterContender('Breakwater', 'attempt: 1s, total: 8s');
export const breakwaterPlain = breakwaterContender('Breakwater plain', '');

function breakwaterContender(name: string, timeouts: string): Contender {
  return {
    name,
    version: packageJsonVersion,
    attempts: 3,
    settings: `built-in defaults; ${timeouts === '' ? 'no timeouts written' : timeouts}`,
    proxy: (place) => command(place, timeouts),
    client: (origin) => plainClient(origin, 0),
  };
}

async function command({ port, upstreamPort, dir }: Place, timeouts: string): Promise<Command> {
  const config = `
listen: 127.0.0.1:${port}
admin: 127.0.0.1:${await freePort()}
upstreams:
  rpb:
    url: http://127.0.0.1:${upstreamPort}
    mount: { path: / }
    allow_private: true # the upstream is on loopback
    timeouts: { ${timeouts} }
`;
  const main = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));
  return { file: process.execPath, args: [main, 'start', '--config', written(dir, 'config.yaml', config)] };
}
