import { createHash, randomBytes } from 'node:crypto';
import type { RunnerState } from '../decision.ts';
import type { Job, NewJob } from '../job.ts';
import { textOfState } from '../settlement.ts';
import type { ScheduleOptions } from './options.ts';

export interface RunParts {
  /** The slot of the run. Undefined for a manual run. */
  readonly slotAt: number | undefined;
  readonly now: number;
  readonly deadlineMs: number;
  readonly state: Pick<RunnerState, 'hadTargets'>;
}

/** Builds one run of a schedule, as a durable request of its route. */
export function runOf(schedule: ScheduleOptions, { slotAt, now, deadlineMs, state }: RunParts): NewJob {
  const { name, route, tenant, method, target, headers, overlap, keyHeader } = schedule;
  const random = randomBytes(16).toString('hex');
  const body = Buffer.from(schedule.body);
  const sha256 = hash(body);
  // The key is the same in every process, so that a slot has one run.
  const key = `${name}-${slotAt === undefined ? random : new Date(slotAt).toISOString()}`;
  const createdAt = Math.floor(now);
  return {
    id: `req_${random}`,
    kind: 'scheduled',
    route,
    tenant,
    method,
    target,
    headers: keyHeader === undefined ? headers : [...headers, keyHeader, key],
    body,
    sha256,
    caller: '',
    idempotencyKey: null,
    fingerprint: hash(`${method} ${target} ${sha256}`),
    upstreamKey: keyHeader === undefined ? null : key,
    orderKey: overlap === 'queue' ? `schedule:${name}` : null,
    labels: [],
    createdAt,
    dueAt: createdAt,
    deadlineAt: createdAt + deadlineMs,
    callbackUrl: null,
    parent: name,
    requestId: null,
    traceparent: null,
    runnerState: textOfState({ ...(slotAt !== undefined && { slotAt }), ...state }),
  };
}

/** The slot of a run. Undefined for a manual run. */
export function slotOf({ runnerState }: Pick<Job, 'runnerState'>): number | undefined {
  return runnerState === '' ? undefined : (JSON.parse(runnerState) as { slotAt?: number }).slotAt;
}

function hash(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
