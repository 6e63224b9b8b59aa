import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { caddy, haproxy, nginx, type Place } from './native-peers.ts';
import { PEERS_MISSING } from './peers.ts';
import { type Command, freePort, type Running, start } from './process.ts';

export interface Contender {
  readonly name: string;
  /** The reason why it cannot take part; undefined if it can. */
  readonly missing?: string;
  launch(originPort: number): Promise<Launched>;
}

export interface Launched extends Running {
  readonly port: number;
}

export const BARE = 'bare dispatch';
export const BREAKWATER = 'Breakwater';
export const HTTP_PROXY_3 = 'http-proxy-3';
/** Contenders that take part only if named by --only. */
export const PROTOTYPE = 'raw relay';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** All contenders, the baseline first. `fromSource` runs Breakwater's TypeScript instead of its build. */
export function contenders(tempDir: string, fromSource: boolean): Contender[] {
  const make = (name: string, command: (place: Place) => Command | Promise<Command>, missing?: string) =>
    contender(name, tempDir, command, missing);
  return [
    make(BARE, node('bench/programs/bare-dispatch.ts')),
    breakwater(tempDir, fromSource),
    make(PROTOTYPE, node('bench/programs/raw-relay.ts')),
    make(HTTP_PROXY_3, node('bench/peers/http-proxy-3.ts'), PEERS_MISSING),
    make('@fastify/http-proxy', node('bench/peers/fastify-http-proxy.ts'), PEERS_MISSING),
    make('nginx', nginx, notOnPath('nginx')),
    make('HAProxy', haproxy, notOnPath('haproxy')),
    make('Caddy', caddy, notOnPath('caddy')),
  ];
}

function breakwater(tempDir: string, fromSource: boolean): Contender {
  const main = fromSource ? 'src/main.ts' : 'dist/main.js';
  const missing = existsSync(join(root, main))
    ? undefined
    : `${main} is missing; create it with npm run build`;
  return contender(
    BREAKWATER,
    tempDir,
    async ({ port, originPort }) => ({
      file: process.execPath,
      args: [join(root, main), 'start', '--config', join(root, 'bench/breakwater.yaml')],
      env: {
        BENCH_LISTEN_PORT: String(port),
        BENCH_ADMIN_PORT: String(await freePort()),
        BENCH_ORIGIN_PORT: String(originPort),
      },
    }),
    missing,
  );
}

export function startOrigin(port: number): Promise<Running> {
  return start(
    { file: process.execPath, args: [join(root, 'bench/programs/origin.ts'), String(port)] },
    port,
  );
}

function node(script: string): (place: Place) => Command {
  return ({ port, originPort }) => ({
    file: process.execPath,
    args: [join(root, script), String(port), String(originPort)],
  });
}

let launches = 0;

function contender(
  name: string,
  tempDir: string,
  command: (place: Place) => Command | Promise<Command>,
  missing: string | undefined,
): Contender {
  return {
    name,
    ...(missing === undefined ? {} : { missing }),
    async launch(originPort) {
      const port = await freePort();
      const dir = join(tempDir, String(++launches));
      mkdirSync(dir);
      const process = await start(await command({ port, originPort, dir }), port);
      return { ...process, port };
    },
  };
}

function notOnPath(file: string): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, file)));
  return found ? undefined : `${file} is not on PATH`;
}
