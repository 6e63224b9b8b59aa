import type { Issue } from '../auth/expiring-secret.ts';
import { Claims } from '../fleet/claims.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { SharedKeys } from '../policies/dedupe/shared-keys.ts';
import type { Clock } from '../runtime/clock.ts';
import type { SharedValueCounts, SharedValuesSnapshot } from '../telemetry/snapshot.ts';
import { FactKeys } from './fact-keys.ts';
import { type ReplyScope, SharedReplies } from './shared-replies.ts';
import { SharedTokens } from './shared-tokens.ts';

export interface SharedValuesDeps {
  readonly clock: Clock;
  /** A connection of their own: a large reply does not delay the leases of quotas. */
  readonly fleet: Fleet;
  /** Replies were written after the store was away. */
  readonly onLate: (replies: number) => void;
}

/** Replies of dedupe and access tokens that replicas share, encrypted. Connects when the first route needs it. */
export class SharedValues {
  readonly #fleet: Fleet;
  readonly #keys: FactKeys;
  readonly #replies: SharedReplies;
  readonly #tokens: SharedTokens;
  readonly #counts: SharedValueCounts = { reply: {}, token: {} };
  #needed = false;
  #started: Promise<void> | undefined;

  constructor(secret: string, { clock, fleet, onLate }: SharedValuesDeps) {
    this.#fleet = fleet;
    this.#keys = new FactKeys(secret);
    const claims = new Claims(this.#fleet, clock);
    this.#replies = new SharedReplies({
      clock,
      claims,
      keys: this.#keys,
      onLate,
      onResult: (result) => this.#count('reply', result),
    });
    this.#tokens = new SharedTokens({
      fleet,
      clock,
      claims,
      keys: this.#keys,
      onResult: (result) => this.#count('token', result),
    });
  }

  /** The keys in use and the replies of a scope at one host, and the secret that hashes its callers. */
  repliesOf(scope: string, origin: string, replies: ReplyScope): { secret: Buffer; keys: SharedKeys } {
    this.#need();
    return {
      secret: this.#keys.hashOf('callers of dedupe', scope, origin),
      keys: this.#replies.keysFor(replies),
    };
  }

  /** Requests a token once for all replicas. `identity`: all that the token depends on; may be secret. */
  tokensOf(identity: readonly string[], issue: Issue<string>): Issue<string> {
    this.#need();
    return this.#tokens.issueFor(this.#keys.hashOf('token', ...identity).toString('base64'), issue);
  }

  async start(): Promise<void> {
    this.#started = this.#needed ? this.#fleet.start() : Promise.resolve();
    await this.#started;
  }

  close(): Promise<void> {
    this.#replies.close();
    return this.#fleet.close();
  }

  /** Undefined while no route needs them. */
  snapshot(): SharedValuesSnapshot | undefined {
    if (!this.#needed) return undefined;
    const { roundTrips, state } = this.#fleet;
    return { away: state.away, roundTrips, counts: this.#counts };
  }

  /** A reload may add the first route that needs them. */
  #need(): void {
    if (!this.#needed && this.#started !== undefined) void this.#fleet.start();
    this.#needed = true;
  }

  #count(kind: keyof SharedValueCounts, result: string): void {
    const counts = this.#counts[kind];
    counts[result] = (counts[result] ?? 0) + 1;
  }
}
