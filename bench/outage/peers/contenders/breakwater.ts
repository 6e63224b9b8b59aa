import { fileURLToPath } from 'node:url';
import { freePort } from '../../../lib/process.ts';
import { type Contender, packageJsonVersion, written } from '../contender.ts';
import { plainClient } from '../plain-client.ts';

/** The built-in policy with RPB-1's timeouts and nothing else. */
export const breakwater: Contender = {
  name: 'Breakwater',
  version: packageJsonVersion,
  attempts: 3,
  settings: 'built-in defaults; attempt 1 s, total 8 s',
  async proxy({ port, upstreamPort, dir }) {
    const config = `
listen: 127.0.0.1:${port}
admin: 127.0.0.1:${await freePort()}
upstreams:
  rpb:
    url: http://127.0.0.1:${upstreamPort}
    mount: { path: / }
    allow_private: true # the upstream is on loopback
    timeouts: { attempt: 1s, total: 8s }
`;
    const main = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));
    return { file: process.execPath, args: [main, 'start', '--config', written(dir, 'config.yaml', config)] };
  },
  client: (origin) => plainClient(origin, 0),
};
