import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type Running, start } from '../../lib/process.ts';
import type { Scenario } from '../../../src/simulate/scenario.ts';
import { Child } from './child.ts';
import type { Contender } from './contender.ts';
import type { Begin, LoadAsk, LoadReport, UpstreamAsk, UpstreamReport } from './messages.ts';

export interface Observed {
  readonly load: LoadReport;
  readonly upstream: UpstreamReport;
}

/**
 * One contender with its own upstream, or an upstream for each of its targets, and its own load process, which run for all scenarios. The contender is new in each scenario:
 * a proxy is restarted, a library gets a fresh client.
 */
export class Stand {
  readonly contender: Contender;
  readonly #upstreams: readonly Upstream[];
  readonly #load: Child;

  private constructor(contender: Contender, upstreams: readonly Upstream[], load: Child) {
    this.contender = contender;
    this.#upstreams = upstreams;
    this.#load = load;
  }

  /** `targets`: names of the targets of the upstream; undefined: it has none. */
  static async open(
    contender: Contender,
    targets: readonly (string | undefined)[] = [undefined],
  ): Promise<Stand> {
    const [[load], ...upstreams] = await Promise.all([
      Child.start('load.ts'),
      ...targets.map(async (target) => {
        const [child, { port }] = await Child.start<{ port: number }>('upstream.ts');
        return { target, child, port };
      }),
    ]);
    return new Stand(contender, upstreams, load);
  }

  /** Starts the proxy if there is one. Resolves with a function that runs the scenario. */
  async prepare(dir: string): Promise<(begin: Begin) => Promise<Observed>> {
    const { proxy } = this.contender;
    const upstreamPorts = this.#upstreams.map((one) => one.port);
    const [upstreamPort = 0] = upstreamPorts;
    if (proxy === undefined) return (begin) => this.#run(begin, upstreamPort, undefined);
    const port = await freePort();
    const place = join(dir, String(port));
    mkdirSync(place);
    const command = await proxy({ port, upstreamPort, upstreamPorts, dir: place });
    const running = await start(command, port);
    return (begin) => this.#run(begin, port, running);
  }

  async close(): Promise<void> {
    await Promise.all([this.#load, ...this.#upstreams.map(({ child }) => child)].map((one) => one.stop()));
  }

  async #run(begin: Begin, port: number, proxy: Running | undefined): Promise<Observed> {
    await this.#ask(({ target }) => ({
      do: 'begin',
      ...begin,
      scenario: scenarioOf(begin.scenario, target),
    }));
    const ask: LoadAsk = { ...begin, contender: this.contender.name, origin: `http://127.0.0.1:${port}` };
    const load = await this.#load.ask<LoadReport>(ask);
    const reports = await this.#ask(() => ({ do: 'report' }));
    await proxy?.stop();
    return { load, upstream: together(reports) };
  }

  /** The reports, each attempt with the name of its target. */
  #ask(askOf: (upstream: Upstream) => UpstreamAsk): Promise<UpstreamReport[]> {
    return Promise.all(
      this.#upstreams.map(async (upstream) => {
        const report = await upstream.child.ask<UpstreamReport>(askOf(upstream));
        const { target } = upstream;
        return target === undefined
          ? report
          : { ...report, reached: report.reached.map((one) => ({ ...one, target })) };
      }),
    );
  }
}

interface Upstream {
  readonly target: string | undefined;
  readonly child: Child;
  readonly port: number;
}

/** The scenario of one target, with its own fault. */
function scenarioOf({ targets = {}, ...scenario }: Scenario, target: string | undefined): Scenario {
  return { ...scenario, fault: targets[target ?? ''] ?? scenario.fault };
}

function together(reports: readonly UpstreamReport[]): UpstreamReport {
  const sum = (pick: (report: UpstreamReport) => number) =>
    reports.reduce((total, report) => total + pick(report), 0);
  return {
    reached: reports.flatMap(({ reached }) => reached).toSorted((a, b) => a.atMs - b.atMs),
    served: sum(({ served }) => served),
    wasted: sum(({ wasted }) => wasted),
  };
}
