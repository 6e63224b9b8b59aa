/** What is remembered of polling, in a request's runnerState. */
export interface PollState {
  /** Path and query that are polled; undefined: the request itself is sent again. */
  readonly target?: string | undefined;
  /** Good answers; errors are none. */
  readonly count: number;
  /** How many of the latest said the same. */
  readonly seen: number;
  /** Wall-clock milliseconds of the latest. */
  readonly last: number;
  /** What conditions saw in it. */
  readonly state: string;
  /** It has come to its end: sent again, the request begins at its beginning. */
  readonly over?: true | undefined;
}

/** Undefined before the first good answer. */
export function pollStateOf(runnerState: string): PollState | undefined {
  return runnerState === '' ? undefined : (JSON.parse(runnerState) as { poll?: PollState }).poll;
}

/** The state from which the next attempt goes on; undefined where it begins at the beginning. */
export function polling(runnerState: string): PollState | undefined {
  const state = pollStateOf(runnerState);
  return state?.over === true ? undefined : state;
}

/** One more answer in which `state` was seen. */
export function counted(before: PollState | undefined, state: string, now: number): PollState {
  const same = before?.state === state;
  return {
    target: before?.target,
    count: (before?.count ?? 0) + 1,
    seen: same ? before.seen + 1 : 1,
    last: now,
    state,
  };
}
