import type { Call } from '../../proxy/call.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Dispatch } from '../../proxy/pipeline.ts';
import type { CredentialGate } from './credential-gate.ts';
import type { Load } from './load.ts';
import type { TargetOptions } from './options.ts';

/** When a target can take an attempt, on the scale of `now`. */
export interface Readiness {
  readonly at: number;
  /** Before that time it would refuse the attempt. Otherwise the attempt waits there. */
  readonly refuses: boolean;
  /** The attempt would test a target that seems not to work. */
  readonly probe: boolean;
}

/** The state of one target. Shared by all routes of the upstream, and kept by a reload. */
export interface TargetState {
  readonly load: Load;
  readonly gate: CredentialGate;
  /** A person has taken it out. */
  out: boolean;
  /** Since when a probe could have left; undefined: none is due. */
  probeDueAt: number | undefined;
}

/** One target of a route. */
export interface Target extends Pick<TargetOptions, 'name'> {
  /** Targets with the same host fail together. */
  readonly host: string;
  readonly state: TargetState;
  /** When its breaker, its limit and its quota can take an attempt. */
  readonly readiness: (call: Call, now: number) => Readiness;
  /** The call as this target gets it. Rejects with a ProxyError. */
  readonly prepare: (call: Call, signal: Abort) => Call | Promise<Call>;
  /** The policies and connections of this target. */
  readonly dispatch: Dispatch;
}
