/** The facts about a reason for which a failed attempt, or a broken body, was not retried. */
interface GaveUpFacts {
  /**
   * Whether the client should not retry either, because retries are used up or do harm. Not final: the client can decide better (is
   * this POST safe to repeat?), or the state differs later or at another instance of the proxy.
   */
  readonly final: boolean;
}

/** THE table of the reasons in `breakwater-gave-up`, the log's `gave_up` and the metrics' `reason`. */
const GAVE_UP = {
  attempts: { final: true },
  not_idempotent: { final: false },
  body_not_replayable: { final: false },
  veto: { final: true },
  permanent: { final: true },
  retry_after_too_long: { final: true },
  // A client that makes a new signature can try again.
  signature_age: { final: false },
  deadline: { final: true },
  breaker: { final: true },
  concurrency: { final: true },
  quota: { final: true },
  /** Another refusal of this proxy; the code of the failed attempt says which one. */
  refused: { final: true },
  draining: { final: false },
  budget: { final: true },
  client_gone: { final: false },
  /** For a broken body: the upstream answered, but not with the rest of that body. */
  changed: { final: false },
} as const satisfies Record<string, GaveUpFacts>;

/** Why a broken body was not continued. */
export type ResumeDenial = keyof typeof GAVE_UP;

/** Why a failed attempt was not retried. */
export type RetryDenial = Exclude<ResumeDenial, 'changed'>;

/** Whether the client should not retry either. */
export const isFinalReason = (reason: ResumeDenial): boolean => GAVE_UP[reason].final;

export const RETRY_DENIALS = (Object.keys(GAVE_UP) as readonly ResumeDenial[]).filter(
  (reason): reason is RetryDenial => reason !== 'changed',
);
