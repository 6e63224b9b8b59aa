import type { RawHeaders } from '../http/headers.ts';
import { proxyStatus } from '../http/proxy-status.ts';
import { requestUrn } from '../http/request-id.ts';
import { factsOf } from '../proxy/error-table.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { CallRecord } from '../telemetry/call-record.ts';

/** The answer to an error that is not in the table. */
const BUG = {
  status: 500,
  title: 'Internal error',
  proxyStatus: 'proxy_internal_error',
  fields: undefined,
} as const;

const UNKNOWN = {
  answer: BUG,
  code: 'internal_error',
  detail: 'an internal error occurred; the log of the proxy has the details',
};

const knownOf = ({ code, message }: ProxyError) => ({ answer: factsOf(code), code, detail: message });

/** An error reply, ready to be written. */
export interface Problem {
  readonly status: number;
  /** The status on the wire. It differs from `status` only for gRPC. */
  readonly sentStatus: number;
  readonly headers: RawHeaders;
  /** Problem details (RFC 9457) with members of this proxy. */
  readonly body: Buffer | undefined;
}

/** The only place where an error becomes a reply. `undefined` means a bug. */
export function problemOf(error: ProxyError | undefined, { info, attempts, notes }: CallRecord): Problem {
  const { gave_up: gaveUp } = notes;
  const { answer, code, detail } = error === undefined ? UNKNOWN : knownOf(error);
  const retryAfter = retryAfterSeconds(error);
  const body = {
    type: 'about:blank',
    title: answer.title,
    status: answer.status,
    detail,
    instance: requestUrn(info.id),
    code,
    // SDKs read this member. Stripe's SDK treats JSON without it as a success, whatever the status.
    error: { type: 'api_error', code, message: detail },
    upstream: info.upstream || undefined,
    route: info.route || undefined,
    attempts,
    gave_up: gaveUp,
    retry_after: retryAfter,
  };
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  const headers = ['content-type', 'application/problem+json', 'content-length', String(bytes.length)].concat(
    answer.fields ?? [],
  );
  if (retryAfter !== undefined) headers.push('retry-after', String(retryAfter));
  const story = gaveUp === undefined ? `attempts=${attempts}` : `attempts=${attempts}; gave_up=${gaveUp}`;
  headers.push('proxy-status', proxyStatus({ error: answer.proxyStatus, details: `${detail}; ${story}` }));
  return { status: answer.status, sentStatus: answer.status, headers, body: bytes };
}

/** The Proxy-Status of a reply from a fallback. */
export function fallbackStatus({ attempts, notes }: CallRecord): string {
  const { fallback_to: to = 'static', gave_up: gaveUp } = notes;
  const details = [`fallback=${to}`, `attempts=${attempts}`];
  if (gaveUp !== undefined) details.push(`gave_up=${gaveUp}`);
  return proxyStatus({ details: details.join('; ') });
}

/** Whole seconds, as HTTP requires, and at least 1, so that no client retries at once. */
function retryAfterSeconds(error: ProxyError | undefined): number | undefined {
  if (error?.retryAfterMs === undefined) return undefined;
  return Math.max(1, Math.ceil(error.retryAfterMs / 1000));
}
