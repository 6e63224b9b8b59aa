import autocannon from 'autocannon';
import { REQUEST_HEADERS, type Scenario } from './scenarios.ts';
import { percentile } from './stats.ts';

export interface LoadResult {
  readonly requests: number;
  readonly durationMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Connection errors, timeouts, replies other than 200 and replies that were too short. */
  readonly failures: number;
}

export interface LoadOptions {
  readonly requests: number;
  readonly connections: number;
  /** In addition to the usual fields, or in place of them. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** autocannon detects its end only when it samples. */
const SAMPLE_MS = 10;
const TIMEOUT_S = 5;

/** Sends `requests` requests and waits for the last reply. Each connection has one request in flight. */
export async function load(port: number, scenario: Scenario, options: LoadOptions): Promise<LoadResult> {
  const latencies: number[] = [];
  let bad = 0;
  const startedAt = performance.now();
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(
      {
        url: `http://127.0.0.1:${port}${scenario.path}`,
        method: scenario.method,
        headers: { ...REQUEST_HEADERS, ...options.headers },
        ...(scenario.body === undefined ? {} : { body: scenario.body }),
        connections: options.connections,
        amount: options.requests,
        timeout: TIMEOUT_S,
        sampleInt: SAMPLE_MS,
        bailout: options.connections,
      },
      (error: unknown, done) => (error ? reject(error as Error) : resolve(done)),
    );
    // autocannon's histogram has a resolution of 1 ms, several times the latency that a proxy adds.
    instance.on('response', (_client, status, bytes, ms) => {
      latencies.push(ms);
      if (status !== 200 || bytes < scenario.replyBytes) bad++;
    });
  });
  return {
    requests: latencies.length,
    durationMs: performance.now() - startedAt,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    failures: bad + result.errors,
  };
}
