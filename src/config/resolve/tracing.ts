import type { TracingOptions } from '../../telemetry/tracing/options.ts';
import type { ProcessInput } from '../keys/schema.ts';
import type { Report } from '../read/report.ts';
import { checkedHeaders } from './header-rules.ts';
import type { Complete } from './inherit.ts';

const PATH = ['tracing', 'otlp'];

/** Where OTLP/HTTP has its receiver for traces (OTLP 1.0, §OTLP/HTTP). */
const TRACES = '/v1/traces';

/**
 * Undefined without a collector. `written`: the section of the file. Messages do not quote the URL: it may contain a
 * credential.
 */
export function tracingOptions(
  { otlp, sample, service }: Complete<ProcessInput>['tracing'],
  written: ProcessInput['tracing'],
  report: Report,
): TracingOptions | undefined {
  if (otlp === undefined) {
    if (written !== undefined)
      report.problem(PATH, 'is missing; write for example otlp: http://127.0.0.1:4318', 'key');
    return undefined;
  }
  const url = URL.parse(otlp);
  const problem = url === null ? 'is not a URL; write for example http://127.0.0.1:4318' : wrongWith(url);
  if (url === null || problem !== undefined) {
    report.problem(PATH, problem ?? '');
    return undefined;
  }
  const base = url.pathname.replace(/\/+$/, '');
  url.pathname = base.endsWith(TRACES) ? base : `${base}${TRACES}`;
  const set = checkedHeaders(written?.headers ?? {}, ['tracing', 'headers'], report);
  return { url: url.href, headers: { set }, sample, service };
}

function wrongWith({ protocol, username, password, search, hash }: URL): string | undefined {
  if (protocol !== 'http:' && protocol !== 'https:')
    return 'needs http:// or https://; write for example http://127.0.0.1:4318';
  if (username !== '' || password !== '')
    return 'contains credentials; write tracing.headers: { authorization: "Basic ${BASIC_AUTH}" } instead';
  return search === '' && hash === '' ? undefined : 'contains a query or a fragment; remove it';
}
