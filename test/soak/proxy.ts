import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Holdings } from './probe.ts';

interface State {
  readonly buffered_body_bytes: number;
  readonly upstreams: readonly {
    readonly in_flight: number;
    readonly connections: number;
    readonly tunnels: number;
    readonly scopes: readonly {
      readonly concurrency?: { readonly in_flight: number; readonly queued: number };
      readonly quota?: { readonly waiting: number };
      readonly breaker?: { readonly state: string };
    }[];
  }[];
}

/** The proxy in its own process. */
export class SoakedProxy {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #file: string;
  #log = '';
  /** Lines at level error: bugs. */
  readonly bugs: string[] = [];
  /** Everything on standard error: node's warnings, MaxListenersExceededWarning above all. */
  complaints = '';
  port = 0;
  adminUrl = '';
  exit: string | undefined;

  constructor(config: string, nodeOptions: readonly string[] = []) {
    this.#folder = mkdtempSync(join(tmpdir(), 'breakwater-soak-'));
    this.#file = join(this.#folder, 'config.yaml');
    this.rewrite(config);
    const args = [
      ...nodeOptions,
      '--expose-gc',
      '--trace-warnings',
      '--import',
      './test/soak/probe.ts',
      'src/main.ts',
      'start',
      '--config',
      this.#file,
    ];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.complaints += text;
    });
    this.#child.on('exit', (code, signal) => {
      this.exit = String(code ?? signal);
    });
  }

  async ready(): Promise<void> {
    while (this.port === 0 && this.exit === undefined) await pause(50);
    if (this.exit !== undefined) throw new Error(`the proxy ended with ${this.exit}`);
  }

  /** The configuration for the next reload. */
  rewrite(config: string): void {
    writeFileSync(this.#file, config);
  }

  reload(): void {
    this.#child.kill('SIGHUP');
  }

  holdings(): Promise<Holdings> {
    return this.tell('what do you hold?');
  }

  /** Sends a message to the preloaded code. Resolves once it has been handled. */
  tell(message: string | object): Promise<Holdings> {
    return new Promise((resolve) => {
      this.#child.once('message', (answer) => resolve(answer as Holdings));
      this.#child.send(message);
    });
  }

  async state(): Promise<State> {
    const reply = await fetch(`${this.adminUrl}/api/state`, { headers: { connection: 'close' } });
    return (await reply.json()) as State;
  }

  /** Remaining calls, tunnels, permits, queued calls, buffered bytes and connections, and breakers that are not closed. */
  async left(): Promise<Readonly<Record<string, number>>> {
    const { upstreams, buffered_body_bytes: bufferedBytes } = await this.state();
    const all = upstreams.flatMap(({ scopes }) => scopes);
    const sum = (values: readonly (number | undefined)[]) =>
      values.reduce<number>((total, value) => total + (value ?? 0), 0);
    return {
      calls: sum(upstreams.map(({ in_flight }) => in_flight)),
      connections: sum(upstreams.map(({ connections }) => connections)),
      tunnels: sum(upstreams.map(({ tunnels }) => tunnels)),
      permits: sum(all.map(({ concurrency }) => concurrency?.in_flight)),
      queued: sum(all.map(({ concurrency }) => concurrency?.queued)),
      'open breakers': sum(all.map(({ breaker }) => Number((breaker?.state ?? 'closed') !== 'closed'))),
      waiting: sum(all.map(({ quota }) => quota?.waiting)),
      bufferedBytes,
    };
  }

  /** The sum of the counters of `metric` whose labels have `label`. */
  async counted(metric: string, label = ''): Promise<number> {
    const reply = await fetch(`${this.adminUrl}/metrics`, { headers: { connection: 'close' } });
    const lines = (await reply.text()).split('\n');
    const found = lines.filter((line) => line.startsWith(`breakwater_${metric}{`) && line.includes(label));
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
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
