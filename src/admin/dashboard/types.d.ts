/* The page reads what the server writes, so its types come from there. */

import type { attemptJson, monitorJson } from '../../durable/http/monitor.ts';
import type { JobErrorCode, WaitReason } from '../../durable/job.ts';
import type { CallGroup } from '../call-history.ts';
import type { stateJson } from '../state.ts';
import type { trafficJson } from '../traffic.ts';

export type { CallGroup };

export type Monitor = ReturnType<typeof monitorJson>;
export type Attempt = ReturnType<typeof attemptJson>;
export type State = ReturnType<typeof stateJson>;
export type Upstream = State['upstreams'][number];
export type Traffic = ReturnType<typeof trafficJson>['upstreams'][number];
export type Target = NonNullable<Upstream['targets']>[number];
export type Scope = Upstream['scopes'][number];
/** Why a request waits or has ended. */
export type Reason = WaitReason | JobErrorCode;
export type RecentCall = CallGroup['latest'];

export interface RouteRow {
  readonly name: string;
  readonly paused: boolean;
  readonly requests: Readonly<Record<string, number>>;
  readonly oldest_due_at?: string;
}

export interface ScheduleRun {
  readonly id: string;
  readonly status: string;
  readonly created_at: string;
  readonly finished_at?: string;
}

export interface Schedule {
  readonly name: string;
  readonly cron: string;
  readonly timezone: string;
  readonly route: string;
  readonly method: string;
  readonly paused: boolean;
  readonly next: readonly string[];
  readonly last?: ScheduleRun;
  readonly last_success?: ScheduleRun;
}

/** A call that changes something, for confirmation, display and sending. */
export interface Change {
  readonly method: 'POST' | 'DELETE';
  /** Encoded path on this server. */
  readonly path: string;
  readonly body?: object;
  /** Label of the button. */
  readonly verb: string;
  /** Describes the effect in a sentence. */
  readonly description: string;
  readonly danger?: boolean;
}
