/** What a client is told about a call whose failed attempt, or broken body, was not followed by another attempt. */
interface GaveUpFacts {
  /**
   * Whether the client should stop too, because everything was tried or another try does harm. Not final is what the client
   * knows better (may this POST be repeated?), and what another time, or another instance of the proxy, can change.
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
  /** Another refusal of ours; the failed attempt's code says which one. */
  refused: { final: true },
  draining: { final: false },
  budget: { final: true },
  client_gone: { final: false },
  /** Of a body that broke: the upstream answered, but not with the rest of that body. */
  changed: { final: false },
} as const satisfies Record<string, GaveUpFacts>;

/** Why a body that broke was not continued. */
export type ResumeDenial = keyof typeof GAVE_UP;

/** Why a failed attempt was not followed by another. */
export type RetryDenial = Exclude<ResumeDenial, 'changed'>;

/** Whether the client should not try again either. */
export const isFinalReason = (reason: ResumeDenial): boolean => GAVE_UP[reason].final;

export const RETRY_DENIALS = (Object.keys(GAVE_UP) as readonly ResumeDenial[]).filter(
  (reason): reason is RetryDenial => reason !== 'changed',
);
