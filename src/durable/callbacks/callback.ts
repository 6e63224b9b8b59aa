import { createHash, randomBytes } from 'node:crypto';
import { headerOf } from '../../http/headers.ts';
import type { ActiveJob, NewJob, StoredResponse } from '../job.ts';
import type { Next } from '../store/store.ts';
import { CALLBACK_ROUTE, type CallbackOptions } from './options.ts';

/** The end of a request, as its callback reports it. */
export interface RequestEnd extends Pick<Extract<Next, { kind: 'end' }>, 'status' | 'error'> {
  readonly now: number;
  readonly attempts: number;
  readonly response: StoredResponse | undefined;
}

export interface CallbackParts {
  /** Prefix of the HTTP API. */
  readonly prefix: string;
  readonly callbacks: CallbackOptions;
}

/**
 * Builds the callback of a request that ends, as a request to be inserted in the same transaction. Empty without a
 * callback URL. Every delivery has the same message; only its timestamp and signature differ.
 */
export function callbackOf(job: ActiveJob, end: RequestEnd, { prefix, callbacks }: CallbackParts): NewJob[] {
  if (job.callbackUrl === null) return [];
  const url = new URL(job.callbackUrl);
  const body = Buffer.from(JSON.stringify(messageOf(job, end, { prefix, callbacks })));
  const sha256 = hash(body);
  const random = randomBytes(16).toString('hex');
  const now = Math.floor(end.now);
  const target = url.pathname + url.search;
  return [
    {
      id: `req_${random}`,
      kind: 'callback',
      route: CALLBACK_ROUTE + url.origin,
      tenant: '',
      method: 'POST',
      target,
      headers: [
        'content-type',
        'application/json',
        'user-agent',
        'breakwater',
        'webhook-id',
        `msg_${random}`,
      ],
      body,
      sha256,
      caller: job.caller,
      client: job.client,
      idempotencyKey: null,
      fingerprint: hash(`POST ${target} ${sha256}`),
      upstreamKey: null,
      orderKey: null,
      labels: job.labels,
      createdAt: now,
      dueAt: now,
      deadlineAt: now + callbacks.deadlineMs,
      callbackUrl: null,
      parent: job.id,
      requestId: job.requestId,
      traceparent: job.traceparent,
      runnerState: '',
    },
  ];
}

function messageOf(job: ActiveJob, end: RequestEnd, { prefix, callbacks }: CallbackParts) {
  const self = `${prefix}/requests/${job.id}`;
  const response = responseOf(job, end, callbacks);
  return {
    type: `request.${end.status}`,
    timestamp: new Date(end.now).toISOString(),
    data: {
      id: job.id,
      request_id: job.requestId ?? undefined,
      status: end.status,
      route: job.route,
      labels: job.labels,
      key: job.orderKey ?? undefined,
      created_at: new Date(job.createdAt).toISOString(),
      attempts: end.attempts,
      error: end.error,
      response: response && { ...response, href: `${self}/response` },
      href: self,
    },
  };
}

/** Without a response of its own, the response of an earlier attempt is reported. */
function responseOf(job: ActiveJob, { response }: RequestEnd, { maxResultBytes }: CallbackOptions) {
  if (response === undefined) return job.response;
  const { body, headers, status, truncated } = response;
  return {
    status,
    bytes: body.length,
    truncated,
    content_type: headerOf(headers, 'content-type'),
    ...(body.length <= maxResultBytes && !truncated && contentOf(response)),
  };
}

/** Text stays text. JSON is not parsed, so that numbers lose no digits. */
function contentOf({ body, headers }: StoredResponse): { body: string } | { body_base64: string } {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const encoded = headerOf(headers, 'content-encoding') !== undefined;
  const text = encoded ? undefined : utf8(bytes);
  return text === undefined ? { body_base64: bytes.toString('base64') } : { body: text };
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function hash(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
