import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type Running, start } from '../../lib/process.ts';
import { Child } from './child.ts';
import type { Contender } from './contender.ts';
import type { Begin, LoadAsk, LoadReport, UpstreamAsk, UpstreamReport } from './messages.ts';

export interface Observed {
  readonly load: LoadReport;
  readonly upstream: UpstreamReport;
}

/**
 * One contender with its own upstream and load process, which run for all scenarios. The contender is new in each scenario:
 * a proxy is restarted, a library gets a fresh client.
 */
export class Stand {
  readonly contender: Contender;
  readonly #upstream: Child;
  readonly #upstreamPort: number;
  readonly #load: Child;

  private constructor(contender: Contender, upstream: [Child, { port: number }], load: Child) {
    this.contender = contender;
    [this.#upstream, { port: this.#upstreamPort }] = upstream;
    this.#load = load;
  }

  static async open(contender: Contender): Promise<Stand> {
    const [upstream, [load]] = await Promise.all([
      Child.start<{ port: number }>('upstream.ts'),
      Child.start('load.ts'),
    ]);
    return new Stand(contender, upstream, load);
  }

  /** Starts the proxy if there is one. Resolves with a function that runs the scenario. */
  async prepare(dir: string): Promise<(begin: Begin) => Promise<Observed>> {
    const { proxy } = this.contender;
    if (proxy === undefined) return (begin) => this.#run(begin, this.#upstreamPort, undefined);
    const port = await freePort();
    const place = join(dir, String(port));
    mkdirSync(place);
    const command = await proxy({ port, upstreamPort: this.#upstreamPort, dir: place });
    const running = await start(command, port);
    return (begin) => this.#run(begin, port, running);
  }

  async close(): Promise<void> {
    await Promise.all([this.#upstream.stop(), this.#load.stop()]);
  }

  async #run(begin: Begin, port: number, proxy: Running | undefined): Promise<Observed> {
    await this.#upstream.ask<UpstreamReport>({ do: 'begin', ...begin } satisfies UpstreamAsk);
    const ask: LoadAsk = { ...begin, contender: this.contender.name, origin: `http://127.0.0.1:${port}` };
    const load = await this.#load.ask<LoadReport>(ask);
    const upstream = await this.#upstream.ask<UpstreamReport>({ do: 'report' } satisfies UpstreamAsk);
    await proxy?.stop();
    return { load, upstream };
  }
}
