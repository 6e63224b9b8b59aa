import type { Issue, Issued } from '../auth/expiring-secret.ts';
import { Claim, type Claims } from '../fleet/claims.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { unguessableId } from '../runtime/random.ts';
import type { FactKeys } from './fact-keys.ts';

/** A token without an end is in the store for this long. */
const LONGEST_MS = 24 * 3_600_000;

/** It takes the place of a claim whose request for a token has failed. For this time, other replicas ask for themselves. */
const FAILED = 'failed';
const FAILED_MS = 5_000;

/** The result for a token at the shared store. `alone`: requested while the store was away. */
export type TokenResult = 'read' | 'written' | 'lost' | 'alone' | 'unreadable';

export interface SharedTokensDeps {
  readonly fleet: Pick<Fleet, 'ask'>;
  readonly clock: Clock;
  readonly keys: FactKeys;
  readonly claims: Claims;
  readonly onResult: (result: TokenResult) => void;
}

/** The fact of a token. */
interface Found {
  /** False: the store is away. */
  readonly asked: boolean;
  /** Undefined: there is none, or the store is away. */
  readonly text: string | undefined;
  /** Undefined if it is the one that is to be replaced, or is not readable. */
  readonly token: Issued<string> | undefined;
}

/** A token that is requested, and the one that it replaces. */
interface Request {
  readonly key: string;
  readonly issue: Issue<string>;
  readonly held: string | undefined;
}

/** Never aborted: others may wait for the token when the first one has left. */
const NEVER = new Abort();

/** Access tokens in the store of the fleet: one replica requests a token, and all use it. */
export class SharedTokens {
  readonly #deps: SharedTokensDeps;

  constructor(deps: SharedTokensDeps) {
    this.#deps = deps;
  }

  /** Takes the token that another replica has requested, or requests it by `issue` for all. `id` identifies it, and is no secret. */
  issueFor(id: string, issue: Issue<string>): Issue<string> {
    return (held) => this.#issued({ key: `token:${id}`, issue, held });
  }

  async #issued(request: Request): Promise<Issued<string>> {
    const { claims } = this.#deps;
    const key = `renewal of ${request.key}`;
    const text = unguessableId();
    const watch = claims.watch(key);
    try {
      for (;;) {
        const found = await this.#read(request);
        if (found.token !== undefined) return found.token;
        const taken = await claims.take(key, text);
        const there = taken ?? (watch.isClaimed ? undefined : claims.alone(key, text));
        if (there instanceof Claim) return await this.#renew(there, request);
        if (there?.text === FAILED) return await this.#request(request, found);
        await watch.change(there, NEVER);
      }
    } finally {
      watch.end();
    }
  }

  async #renew(claim: Claim, request: Request): Promise<Issued<string>> {
    try {
      // Another replica may have renewed it just before the claim.
      const found = await this.#read(request);
      if (!claim.confirmed || !found.asked) this.#deps.onResult('alone');
      const token = found.token ?? (await this.#request(request, found));
      await claim.release();
      return token;
    } catch (error) {
      await claim.leave(FAILED, FAILED_MS);
      throw error;
    }
  }

  async #read({ key, held }: Request): Promise<Found> {
    const { clock, fleet, keys, onResult } = this.#deps;
    const read = await fleet.ask((engine) => engine.read(key), true);
    const asked = read !== undefined;
    const fact = read?.answer;
    if (fact === undefined) return { asked, text: undefined, token: undefined };
    const { text, leftMs } = fact;
    const content = keys.unseal(key, text);
    if (content === undefined) onResult('unreadable');
    const token = content && tokenIn(content);
    if (token === undefined || token.secret === held) return { asked, text, token: undefined };
    onResult('read');
    const { lifetimeMs } = token;
    // The clock of the store counts: it may be another machine's.
    const ageMs = Number.isFinite(lifetimeMs) ? Math.max(0, lifetimeMs - leftMs) : 0;
    return { asked, text, token: { ...token, issuedAt: clock.real() - ageMs } };
  }

  /** Requests a token, and stores it in place of what was `found`. */
  async #request(request: Request, { text }: Found): Promise<Issued<string>> {
    const { clock, fleet, keys, onResult } = this.#deps;
    const { key, issue, held } = request;
    const issuedAt = clock.real();
    const token = await issue(held);
    const ms = Math.min(token.lifetimeMs, LONGEST_MS) - (clock.real() - issuedAt);
    if (ms <= 0) return { ...token, issuedAt };
    const sealed = keys.seal(key, Buffer.from(JSON.stringify(token)));
    const asked = await fleet.ask(
      async (engine) =>
        (text !== undefined && (await engine.exchange(key, text, sealed, ms))) ||
        (await engine.claim(key, sealed, ms)) === undefined,
      true,
    );
    if (asked?.answer === true) onResult('written');
    // This replica was stopped, and another one has a newer token.
    if (asked?.answer === false) {
      onResult('lost');
      return (await this.#read(request)).token ?? { ...token, issuedAt };
    }
    return { ...token, issuedAt };
  }
}

/** JSON has no infinite numbers. */
function tokenIn(content: Buffer): Issued<string> {
  const { secret, lifetimeMs } = JSON.parse(content.toString('utf8')) as {
    secret: string;
    lifetimeMs: number | null;
  };
  return { secret, lifetimeMs: lifetimeMs ?? Infinity };
}
