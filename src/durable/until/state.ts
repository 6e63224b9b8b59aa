/** The polling part of a request's `RunnerState`. */
export interface PollState {
  /** Path and query that are polled. Undefined: the request itself is sent again. */
  readonly target?: string | undefined;
  /** The target of the upstream that has accepted the request: only that one knows its result. Undefined if the upstream had none. */
  readonly targetName?: string | undefined;
  /** Number of successful replies. */
  readonly count: number;
  /** Latest successive replies with the same state. */
  readonly seen: number;
  /** Wall-clock milliseconds of the latest reply. */
  readonly last: number;
  /** Hash of what the conditions read in it (`stateOf`). */
  readonly state: string;
  /** Polling has finished. A retry of the request starts again from its beginning. */
  readonly over?: true | undefined;
}

/** Undefined before the first successful reply. */
export function pollStateOf(runnerState: string): PollState | undefined {
  return runnerState === '' ? undefined : (JSON.parse(runnerState) as { poll?: PollState }).poll;
}

/** The state from which the next attempt continues. Undefined if it starts from the beginning. */
export function polling(runnerState: string): PollState | undefined {
  const state = pollStateOf(runnerState);
  return state?.over === true ? undefined : state;
}

/** The state after one more successful reply with `state`. `targetName`: the target that has sent it. */
export function counted(
  before: PollState | undefined,
  state: string,
  { now, targetName }: { readonly now: number; readonly targetName: string | undefined },
): PollState {
  const same = before?.state === state;
  return {
    target: before?.target,
    targetName: before?.targetName ?? targetName,
    count: (before?.count ?? 0) + 1,
    seen: same ? before.seen + 1 : 1,
    last: now,
    state,
  };
}
