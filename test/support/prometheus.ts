import { spawnSync } from 'node:child_process';
import { temporaryFolder, run } from './command.ts';

/** Prometheus' own checker (Debian package `prometheus`). */
export function promtool(args: readonly string[], input = '') {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { input, encoding: 'utf8' });
  return { status, missing: error !== undefined, said: `${stdout}${stderr}` };
}

/** Whether the server is installed. It has promtool too. */
export const hasPrometheus = spawnSync('prometheus', ['--version']).error === undefined;

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Pairs of seconds and a number as text. */
  readonly values: readonly (readonly [number, string])[];
}

export interface Rule {
  readonly name: string;
  readonly type: 'recording' | 'alerting';
  /** `unknown` before its first evaluation. */
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
}

export interface Alert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Target {
  readonly health: string;
  readonly lastError: string;
}

/** A real Prometheus on a free port of loopback. It ends with the test. */
export class Prometheus {
  readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  /**
   * Scrapes `target` (`127.0.0.1:port`), once for each of `labels`, and evaluates the rules of the file `rules`, three times
   * a second.
   */
  static async start(
    target: string,
    labels: readonly Readonly<Record<string, string>>[],
    rules: string,
  ): Promise<Prometheus> {
    const targets = labels.map((one) => ({ targets: [target], labels: one }));
    const config = {
      global: { scrape_interval: '300ms', scrape_timeout: '300ms', evaluation_interval: '300ms' },
      rule_files: [rules],
      scrape_configs: [{ job_name: 'breakwater', static_configs: targets }],
    };
    const folder = temporaryFolder({ 'prometheus.yml': JSON.stringify(config) });
    const server = run('prometheus', [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      '--web.listen-address=127.0.0.1:0',
    ]);
    const [, address = ''] = await server.untilPrinted(/msg="Listening on" address=(\S+)/);
    await server.untilPrinted(/Server is ready/);
    return new Prometheus(`http://${address}`);
  }

  /** The series of the last minute, as Grafana asks for them. Throws if Prometheus reports an error or a warning. */
  async range(query: string): Promise<readonly Series[]> {
    const now = Date.now() / 1000;
    const { result } = await this.#ask<{ result: readonly Series[] }>('query_range', {
      query,
      start: String(now - 60),
      end: String(now),
      step: '1',
    });
    return result;
  }

  labelValues(label: string, match: string): Promise<readonly string[]> {
    return this.#ask(`label/${label}/values`, { 'match[]': match });
  }

  async rules(): Promise<readonly Rule[]> {
    const { groups } = await this.#ask<{ groups: readonly { rules: readonly Rule[] }[] }>('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  async alerts(): Promise<readonly Alert[]> {
    return (await this.#ask<{ alerts: readonly Alert[] }>('alerts')).alerts;
  }

  async targets(): Promise<readonly Target[]> {
    return (await this.#ask<{ activeTargets: readonly Target[] }>('targets')).activeTargets;
  }

  async #ask<T>(path: string, parameters: Readonly<Record<string, string>> = {}): Promise<T> {
    const reply = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
    const { status, data, error, warnings } = (await reply.json()) as {
      status: string;
      data: T;
      error?: string;
      warnings?: readonly string[];
    };
    if (status !== 'success' || warnings !== undefined)
      throw new Error(`${path} ${JSON.stringify(parameters)}: ${error ?? warnings?.join()}`);
    return data;
  }
}
