import type { ClaimedJob } from './job.ts';

/** Interval at which the store is asked for lost claims. */
const ASK_EVERY_MS = 1_000;

/**
 * A claim may be committed this long after it has failed here, because its statement may still run. PostgreSQL cancels
 * statements earlier than that.
 */
const MAY_COMMIT_MS = 60_000;

/**
 * Claims whose answer was lost: the connection broke, and the store may have committed them. Their requests have not
 * begun, so they can be run like those of any other claim.
 */
export class LostClaims {
  /** Ids, with the monotonic milliseconds of their failure. */
  readonly #failedAt = new Map<string, number>();
  #askAt = 0;

  add(id: string, now: number): void {
    this.#failedAt.set(id, now);
    this.#askAt = now;
  }

  /** The claims to ask for now. */
  due(now: number): string[] {
    return this.#failedAt.size === 0 || now < this.#askAt ? [] : [...this.#failedAt.keys()];
  }

  /** Forgets the claims that were found, and those that can no longer be committed. */
  answered(jobs: readonly Pick<ClaimedJob, 'owner'>[], now: number): void {
    this.#askAt = now + ASK_EVERY_MS;
    for (const { owner } of jobs) this.#failedAt.delete(owner);
    for (const [id, failedAt] of this.#failedAt)
      if (now >= failedAt + MAY_COMMIT_MS) this.#failedAt.delete(id);
  }
}
