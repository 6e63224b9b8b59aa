import type {
  ActiveJob,
  AttemptRow,
  ClaimedJob,
  Job,
  JobErrorCode,
  JobKind,
  JobStatus,
  StoredResponse,
  WaitReason,
} from '../job.ts';
import type { Row } from './db.ts';
import type { JobProgress } from './store.ts';

/* Conversion of rows. Their contents were written by the statements of this folder. */

/** The columns of a request that `claimedOf` reads. */
export const CLAIMED_COLUMNS = [
  'seq',
  'id',
  'kind',
  'route',
  'tenant',
  'method',
  'target',
  'caller',
  'upstream_key',
  'order_key',
  'labels',
  'callback_url',
  'parent',
  'request_id',
  'traceparent',
  'client',
  'priority',
  'memo',
  'created_at',
  'due_at',
  'deadline_at',
  'owner',
  'attempt',
  'counted',
  'started_at',
  'response_status',
  'response_bytes',
  'response_truncated',
  'reclaimed',
] as const;

export function text(row: Row, column: string): string {
  return row[column] as string;
}

export function number(row: Row, column: string): number {
  return row[column] as number;
}

/** Converts NULL to undefined. */
export function optional<T extends string | number | Uint8Array>(row: Row, column: string): T | undefined {
  return (row[column] ?? undefined) as T | undefined;
}

function flag(row: Row, column: string): boolean {
  return row[column] === 1;
}

function list(row: Row, column: string): readonly string[] {
  return JSON.parse(text(row, column)) as readonly string[];
}

export function jobOf(row: Row): Job {
  const code = optional<string>(row, 'error_code') as JobErrorCode | undefined;
  return {
    ...activeFieldsOf(row),
    status: text(row, 'status') as JobStatus,
    reason: optional<string>(row, 'reason') as WaitReason | undefined,
    owner: optional<string>(row, 'owner'),
    wakeAt: optional<number>(row, 'wake_at'),
    bytes: number(row, 'bytes'),
    sha256: text(row, 'sha256'),
    idempotencyKey: row['idempotency_key'] as string | null,
    fingerprint: text(row, 'fingerprint'),
    finishedAt: optional<number>(row, 'finished_at'),
    purgeAt: optional<number>(row, 'purge_at'),
    error: code === undefined ? undefined : { code, title: text(row, 'error_title') },
    erased: flag(row, 'erased'),
  };
}

export function claimedOf(row: Row): ClaimedJob {
  return {
    ...activeFieldsOf(row),
    status: 'running',
    reason: undefined,
    owner: text(row, 'owner'),
    headers: list(row, 'headers'),
    body: row['body'] as Uint8Array,
    reclaimed: flag(row, 'reclaimed'),
  };
}

function activeFieldsOf(row: Row): Omit<ActiveJob, 'status' | 'reason' | 'owner'> {
  const status = optional<number>(row, 'response_status');
  return {
    seq: number(row, 'seq'),
    id: text(row, 'id'),
    kind: text(row, 'kind') as JobKind,
    route: text(row, 'route'),
    tenant: text(row, 'tenant'),
    method: text(row, 'method'),
    target: text(row, 'target'),
    caller: text(row, 'caller'),
    upstreamKey: row['upstream_key'] as string | null,
    orderKey: row['order_key'] as string | null,
    labels: list(row, 'labels'),
    callbackUrl: row['callback_url'] as string | null,
    parent: row['parent'] as string | null,
    requestId: row['request_id'] as string | null,
    traceparent: row['traceparent'] as string | null,
    client: optional<string>(row, 'client'),
    priority: optional<string>(row, 'priority') as Job['priority'],
    runnerState: text(row, 'memo'),
    createdAt: number(row, 'created_at'),
    dueAt: number(row, 'due_at'),
    deadlineAt: number(row, 'deadline_at'),
    attempt: number(row, 'attempt'),
    counted: number(row, 'counted'),
    startedAt: optional<number>(row, 'started_at'),
    response:
      status === undefined
        ? undefined
        : { status, bytes: number(row, 'response_bytes'), truncated: flag(row, 'response_truncated') },
  };
}

export function progressOf(row: Row): JobProgress {
  return {
    id: text(row, 'id'),
    status: text(row, 'status') as JobStatus,
    attempt: number(row, 'attempt'),
    dueAt: number(row, 'due_at'),
    reason: optional<string>(row, 'reason') as WaitReason | undefined,
  };
}

export function requestOf(row: Row): Pick<ClaimedJob, 'headers' | 'body'> {
  return { headers: list(row, 'headers'), body: row['body'] as Uint8Array };
}

export function responseOf(row: Row): StoredResponse {
  return {
    status: number(row, 'status'),
    statusText: text(row, 'status_text'),
    headers: list(row, 'headers'),
    body: row['body'] as Uint8Array,
    truncated: flag(row, 'truncated'),
  };
}

export function attemptOf(row: Row): AttemptRow {
  return {
    n: number(row, 'n'),
    at: number(row, 'at'),
    ms: number(row, 'ms'),
    status: optional(row, 'status'),
    error: optional(row, 'error'),
    detail: optional(row, 'detail'),
    waitMs: optional(row, 'wait_ms'),
    reason: optional<string>(row, 'reason') as AttemptRow['reason'],
    reclaimed: flag(row, 'reclaimed'),
    replyHead: optional(row, 'reply_head'),
  };
}
