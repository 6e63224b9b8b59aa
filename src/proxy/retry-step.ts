import type { RetryReason } from './events.ts';

/** Another attempt, and when: what follows a failed one in a call as in a durable request. */
export interface RetryStep {
  readonly kind: 'retry';
  readonly delayMs: number;
  /** The jittered backoff alone, which decorrelated jitter grows from. */
  readonly backoffMs: number;
  /** Longer than our own backoff because the upstream asked for it. */
  readonly asked: boolean;
  /** What it costs the budget, in tokens. */
  readonly cost: number;
  readonly reason: RetryReason;
}
