import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Holdings } from './probe.ts';

const CONFIG = (port: number) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
clients: { head_timeout: 2s, body_timeout: 1s }
upstreams:
  api:
    url: http://127.0.0.1:${port}
    allow_private: true
    timeouts: { connect: 1s, attempt: 1s, total: 3s, idle: 1s }
    retry: { budget: { cap: 100, ratio: 1 }, backoff: { base: 10ms, overloaded_base: 10ms } }
    # Opens when the upstream restarts, not at every bad turn: the soak is to get through.
    breaker: { failure_rate: 99%, consecutive_failures: 50, connect_failures: 20, wait: { min: 100ms, max: 500ms } }
    connection: { keep_alive: 1s, max_age: 5s }
`;

interface State {
  readonly replay_bytes: number;
  readonly upstreams: readonly {
    readonly in_flight: number;
    readonly connections: number;
    readonly scopes: readonly {
      readonly concurrency?: { readonly in_flight: number; readonly queued: number };
    }[];
  }[];
}

/** The proxy in a process of its own. */
export class SoakedProxy {
  readonly #child: ChildProcess;
  readonly #folder: string;
  #log = '';
  /** Lines at level error: bugs. */
  readonly bugs: string[] = [];
  port = 0;
  adminUrl = '';
  exit: string | undefined;

  constructor(upstreamPort: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'breakwater-soak-'));
    const file = join(this.#folder, 'config.yaml');
    writeFileSync(file, CONFIG(upstreamPort));
    const args = [
      '--expose-gc',
      '--import',
      './test/soak/probe.ts',
      'src/main.ts',
      'start',
      '--config',
      file,
    ];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.on('exit', (code, signal) => {
      this.exit = String(code ?? signal);
    });
  }

  async ready(): Promise<void> {
    while (this.port === 0 && this.exit === undefined) await pause(50);
    if (this.exit !== undefined) throw new Error(`the proxy ended with ${this.exit}`);
  }

  reload(): void {
    this.#child.kill('SIGHUP');
  }

  holdings(): Promise<Holdings> {
    return new Promise((resolve) => {
      this.#child.once('message', (message) => resolve(message as Holdings));
      this.#child.send('what do you hold?');
    });
  }

  async state(): Promise<State> {
    const reply = await fetch(`${this.adminUrl}/api/state`, { headers: { connection: 'close' } });
    return (await reply.json()) as State;
  }

  /** Calls, permits, places in the queue, kept bytes and connections that are left. */
  async left(): Promise<Readonly<Record<string, number>>> {
    const { upstreams, replay_bytes: keptBytes } = await this.state();
    const limits = upstreams.flatMap(({ scopes }) => scopes.flatMap(({ concurrency }) => concurrency ?? []));
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    return {
      calls: sum(upstreams.map(({ in_flight }) => in_flight)),
      connections: sum(upstreams.map(({ connections }) => connections)),
      permits: sum(limits.map(({ in_flight }) => in_flight)),
      queued: sum(limits.map(({ queued }) => queued)),
      keptBytes,
    };
  }

  async stop(): Promise<string> {
    this.#child.kill('SIGTERM');
    while (this.exit === undefined) await pause(50);
    rmSync(this.#folder, { recursive: true });
    return this.exit;
  }

  #read(text: string): void {
    const lines = (this.#log + text).split('\n');
    this.#log = lines.pop() ?? '';
    for (const line of lines) {
      if (line.includes('"level":"error"')) this.bugs.push(line.slice(0, 500));
      const listening = /"admin":"([^"]+)".*listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
      if (listening === null) continue;
      this.adminUrl = listening[1] as string;
      this.port = Number(listening[2]);
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
