import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from './proc.ts';

/** The command of a program that listens on a loopback port. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** How long it may take until it listens; default 30 s. */
  readonly listenTimeoutMs?: number;
}

export interface Running {
  readonly pid: number;
  /** Time from spawn until a TCP connection was accepted. */
  readonly listeningMs: number;
  stop(): Promise<void>;
}

const LISTEN_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 2_000;
const STDERR_KEPT = 4_000;
/** The processes that this program has started. It signals no others. */
const running = new Set<ChildProcess>();

/** Files and sockets that this process, and each that it starts, may have open. */
export function openFilesLimit(): number {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return limit === undefined ? Infinity : Number(limit);
}

/** Ports that were given out. The system may offer one again before its program listens. */
const given = new Set<number>();

/** A port that was free a moment ago. Each call gives another one. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  if (given.has(address.port)) return freePort();
  given.add(address.port);
  return address.port;
}

/** Starts `command` and resolves when `port` accepts connections. */
export async function start(command: Command, port: number): Promise<Running> {
  const startedAt = performance.now();
  const child = spawn(command.file, command.args, {
    env: { ...process.env, NODE_ENV: 'production', ...command.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  child.once('error', () => running.delete(child));
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-STDERR_KEPT);
  });
  const name = [command.file, ...command.args].join(' ');
  while (!(await accepts(port))) {
    if (child.pid === undefined || child.exitCode !== null)
      throw new Error(`${name} ended early:\n${stderr}`);
    if (performance.now() - startedAt > (command.listenTimeoutMs ?? LISTEN_TIMEOUT_MS))
      throw new Error(`${name} does not listen:\n${stderr}`);
    await sleep(2);
  }
  return { pid: child.pid as number, listeningMs: performance.now() - startedAt, stop: () => stop(child) };
}

/** Runs a program to its end and returns what it has printed. Throws if it fails. */
export async function output({ file, args, env }: Command): Promise<string> {
  const child = spawn(file, args, {
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-STDERR_KEPT)));
  await once(child, 'close');
  running.delete(child);
  if (child.exitCode !== 0) throw new Error(`${[file, ...args].join(' ')} failed:\n${stderr}`);
  return stdout;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await closed;
  clearTimeout(late);
}

/** Ends all running processes that `start` has started. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map(stop));
}

/** Kills all processes without waiting, for an `exit` handler, which runs synchronously. */
export function killAll(): void {
  for (const { pid } of running) {
    if (pid === undefined) continue;
    for (const member of processTree(pid)) kill(member); // nginx's worker outlives a killed master
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself meanwhile
  }
}
