import type { RawHeaders } from '../http/headers.ts';
import { proxyStatus } from '../http/proxy-status.ts';
import { factsOf } from '../proxy/error-table.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { CallRecord } from '../telemetry/call-record.ts';

/** What the client gets for an error that is none of the table's. */
const BUG = { status: 500, title: 'Internal error', proxyStatus: 'proxy_internal_error' } as const;

/** An answer of our own, ready to be written. */
export interface Problem {
  readonly status: number;
  /** What goes out as the status: another one only to gRPC. */
  readonly sentStatus: number;
  readonly headers: RawHeaders;
  /** RFC 9457 problem details, with the members of ours that a caller may want to read. */
  readonly body: Buffer | undefined;
}

/** The one place where an error becomes an answer; undefined means a bug of ours. */
export function problemOf(error: ProxyError | undefined, { info, attempts, notes }: CallRecord): Problem {
  const { gave_up: gaveUp } = notes;
  const answer = error === undefined ? BUG : factsOf(error.code);
  const detail = error?.message ?? 'an internal error occurred; the log of the proxy has the details';
  const retryAfter = retryAfterSeconds(error);
  const code = error?.code ?? 'internal_error';
  const body = {
    type: 'about:blank',
    title: answer.title,
    status: answer.status,
    detail,
    code,
    // Where SDKs look. Stripe's takes any JSON without this member for a success, whatever the status.
    error: { type: 'api_error', code, message: detail },
    upstream: info.upstream || undefined,
    route: info.route || undefined,
    attempts,
    gave_up: gaveUp,
    retry_after: retryAfter,
  };
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  const headers = ['content-type', 'application/problem+json', 'content-length', String(bytes.length)];
  if (retryAfter !== undefined) headers.push('retry-after', String(retryAfter));
  const story = gaveUp === undefined ? `attempts=${attempts}` : `attempts=${attempts}; gave_up=${gaveUp}`;
  headers.push('proxy-status', proxyStatus({ error: answer.proxyStatus, details: `${detail}; ${story}` }));
  return { status: answer.status, sentStatus: answer.status, headers, body: bytes };
}

/** What is said of a reply that another than the upstream made. */
export function fallbackStatus({ attempts, notes }: CallRecord): string {
  const { fallback_to: to = 'static', gave_up: gaveUp } = notes;
  const told = [`fallback=${to}`, `attempts=${attempts}`];
  if (gaveUp !== undefined) told.push(`gave_up=${gaveUp}`);
  return proxyStatus({ details: told.join('; ') });
}

/** Whole seconds, as HTTP wants them, and never zero: nobody should come back at once. */
function retryAfterSeconds(error: ProxyError | undefined): number | undefined {
  if (error?.retryAfterMs === undefined) return undefined;
  return Math.max(1, Math.ceil(error.retryAfterMs / 1000));
}
