import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from './context.ts';
import { caddy, haproxy, nginx, type Place } from './native-peers.ts';
import { PEERS_MISSING } from './peers.ts';
import { type Command, freePort, type Running, start } from './process.ts';

export interface Contender {
  readonly name: string;
  /** The reason why it cannot take part; undefined if it can. */
  readonly missing: string | undefined;
  launch(originPort: number): Promise<Launched>;
}

export interface Launched extends Running {
  readonly port: number;
  /** Of the admin API, which only Breakwater has. */
  readonly adminPort: number;
  /** Fields that each request to it needs. */
  readonly headers?: Readonly<Record<string, string>>;
}

export const BARE = 'bare dispatch';
export const BREAKWATER = 'Breakwater';
export const CADDY = 'Caddy';
/** Proxies that other Node programs use. */
export const NODE_PEERS = ['http-proxy-3', '@fastify/http-proxy'] as const;
/** Takes part only if named by --only. */
const PROTOTYPE = 'raw relay';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The contenders of a run, the baseline first, and the reasons why others do not take part. */
export function taking(
  { tempDir, fromSource, only }: Context,
  more: readonly Contender[] = [],
): { readonly present: Contender[]; readonly absent: string[] } {
  const all = [...contenders(tempDir, fromSource), ...more].filter(({ name }) =>
    only === undefined ? name !== PROTOTYPE : name === BARE || only.includes(name.toLowerCase()),
  );
  return {
    present: all.filter(({ missing }) => missing === undefined),
    absent: all.flatMap(({ name, missing }) =>
      missing === undefined ? [] : [`Not measured: ${name}, ${missing}.`],
    ),
  };
}

function contenders(tempDir: string, fromSource: boolean): Contender[] {
  const make = (name: string, command: (place: Place) => Command | Promise<Command>, missing?: string) =>
    contender(name, tempDir, command, { missing });
  const [httpProxy3, fastify] = NODE_PEERS;
  return [
    bare(tempDir),
    breakwater(tempDir, { fromSource }),
    make(PROTOTYPE, node('bench/programs/raw-relay.ts')),
    make(httpProxy3, node('bench/peers/http-proxy-3.ts'), PEERS_MISSING),
    make(fastify, node('bench/peers/fastify-http-proxy.ts'), PEERS_MISSING),
    make('nginx', nginx, notOnPath('nginx')),
    make('HAProxy', haproxy, notOnPath('haproxy')),
    make(CADDY, caddy, notOnPath('caddy')),
  ];
}

export interface ProgramOptions {
  /** Options of Node. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the program under another one. */
  readonly wrap?: (command: Command) => Command;
}

const asItIs = (command: Command): Command => command;

export interface BreakwaterOptions extends ProgramOptions {
  readonly fromSource: boolean;
  /** The folder of another checkout that is built; undefined: this one. */
  readonly build?: string | undefined;
  /** The configuration below `listen` and `admin`; undefined: bench/breakwater.yaml. */
  readonly config?: (place: Place) => string;
}

export function bare(
  tempDir: string,
  { nodeArgs = [], env = {}, wrap = asItIs }: ProgramOptions = {},
): Contender {
  const command = node('bench/programs/bare-dispatch.ts', nodeArgs);
  return contender(BARE, tempDir, (place) => wrap({ ...command(place), env }), {});
}

export function breakwater(
  tempDir: string,
  { fromSource, build = root, nodeArgs = [], config, env, wrap = asItIs }: BreakwaterOptions,
): Contender {
  const main = resolve(build, fromSource ? 'src/main.ts' : 'dist/main.js');
  const missing = existsSync(main) ? undefined : `${main} is missing; create it with npm run build`;
  const command = async (place: Place): Promise<Command> => {
    const file = config === undefined ? join(root, 'bench/breakwater.yaml') : join(place.dir, 'config.yaml');
    if (config !== undefined) writeFileSync(file, `${LISTENERS}${config(place)}`);
    return wrap({
      file: process.execPath,
      args: [...SHIPPED_ARGS, ...nodeArgs, main, 'start', '--config', file],
      env: {
        BENCH_LISTEN_PORT: String(place.port),
        BENCH_ADMIN_PORT: String(place.adminPort),
        BENCH_ORIGIN_PORT: String(place.originPort),
        ...env,
      },
    });
  };
  return contender(BREAKWATER, tempDir, command, { missing });
}

/** As the Dockerfile and the unit of systemd start it. */
export const SHIPPED_ARGS = ['--max-semi-space-size=4', '--v8-pool-size=1'];

const LISTENERS = 'listen: 127.0.0.1:${BENCH_LISTEN_PORT}\nadmin: 127.0.0.1:${BENCH_ADMIN_PORT}\n';

function node(script: string, nodeArgs: readonly string[] = []): (place: Place) => Command {
  return ({ port, originPort }) => ({
    file: process.execPath,
    args: [...nodeArgs, join(root, script), String(port), String(originPort)],
  });
}

let launches = 0;

interface ContenderOptions {
  readonly missing?: string | undefined;
  readonly headers?: (originPort: number) => Readonly<Record<string, string>>;
}

export function contender(
  name: string,
  tempDir: string,
  command: (place: Place) => Command | Promise<Command>,
  { missing, headers }: ContenderOptions,
): Contender {
  return {
    name,
    missing,
    async launch(originPort) {
      const [port, adminPort] = [await freePort(), await freePort()];
      const dir = join(tempDir, String(++launches));
      mkdirSync(dir);
      const process = await start(await command({ port, adminPort, originPort, dir }), port);
      return {
        ...process,
        port,
        adminPort,
        ...(headers === undefined ? {} : { headers: headers(originPort) }),
      };
    },
  };
}

/** The reason why a program cannot be used; undefined if it can. */
export function notOnPath(file: string): string | undefined {
  const found = (process.env['PATH'] ?? '').split(delimiter).some((dir) => existsSync(join(dir, file)));
  return found ? undefined : `${file} is not on PATH`;
}
