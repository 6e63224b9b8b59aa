import type { AttemptRow, NewJob } from '../../src/durable/job.ts';
import type { Settlement } from '../../src/durable/store/store.ts';

/** A plain request. */
export function newJob(id: string, more: Partial<NewJob> = {}): NewJob {
  return {
    id,
    kind: 'request',
    route: 'payments/charges',
    tenant: '',
    method: 'POST',
    target: '/v1/charges',
    headers: ['Content-Type', 'application/json'],
    body: new TextEncoder().encode(`{"id":"${id}"}`),
    sha256: 'sha',
    caller: 'caller',
    idempotencyKey: null,
    fingerprint: 'print',
    upstreamKey: null,
    orderKey: null,
    labels: [],
    createdAt: 1_000,
    dueAt: 1_000,
    deadlineAt: 1_000_000,
    callbackUrl: null,
    parent: null,
    requestId: null,
    traceparent: null,
    runnerState: '{}',
    ...more,
  };
}

/** A successful attempt. */
export function entry(n: number): AttemptRow {
  return {
    n,
    at: 1_000,
    ms: 20,
    status: 200,
    error: undefined,
    detail: undefined,
    waitMs: undefined,
    reason: undefined,
    reclaimed: false,
    replyHead: undefined,
  };
}

/** The first attempt of `owner` succeeded. */
export function settlement(id: string, more: Partial<Settlement> = {}): Settlement {
  const attempt = more.attempt ?? 1;
  return {
    id,
    owner: 'a',
    attempt,
    now: 2_000,
    entry: entry(attempt),
    next: { kind: 'end', status: 'succeeded', purgeAt: 10_000 },
    ...more,
  };
}
