/**
 * What a status says where the API has no rule of its own. All readers of a status ask this one table: retries, the breaker,
 * the adaptive limit, fallback, durable requests, the budget, dedupe and the cache.
 *
 * - `success`: below 400.
 * - `wrong`: the request is wrong. The same request gets the same answer.
 * - `refused`: the request was not processed, for a reason that can change (credentials, a conflict, another server).
 * - `later`: the request was not processed now. The same request may pass.
 * - `too_many`: the caller sends too much.
 * - `internal`: the server failed, perhaps in the middle of its work.
 * - `gateway`: a server in front of the API got no good answer from it.
 * - `overloaded`: the server has too much to do.
 * - `unsupported`: the server cannot do this at all. Its health is another matter.
 */
export type StatusClass =
  | 'success'
  | 'wrong'
  | 'refused'
  | 'later'
  | 'too_many'
  | 'internal'
  | 'gateway'
  | 'overloaded'
  | 'unsupported';

/** Statuses that say something else than the first of their hundred. */
const LISTED: Readonly<Partial<Record<StatusClass, readonly number[]>>> = {
  refused: [401, 403, 409, 421],
  later: [408, 425],
  too_many: [429],
  // 520 to 527 and 530 are Cloudflare's. 598 and 599 are timeouts that some proxies tell of.
  gateway: [502, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530, 598, 599],
  overloaded: [503, 529],
  unsupported: [501, 505, 506, 510, 511],
};

const FIRST = 400;
const LAST = 599;

/** Every error status. RFC 9110 §15: a status that is not known is taken for the first of its hundred, 400 or 500. */
const CLASSES: readonly StatusClass[] = Array.from({ length: LAST - FIRST + 1 }, (_, index) => {
  const status = FIRST + index;
  for (const [name, listed] of Object.entries(LISTED)) {
    if (listed.includes(status)) return name as StatusClass;
  }
  return status < 500 ? 'wrong' : 'internal';
});

/** HTTP knows nothing above 599; such a status is taken for a failure of the server. */
export function statusClass(status: number): StatusClass {
  return status < FIRST ? 'success' : (CLASSES[status - FIRST] ?? 'internal');
}

type Trait = Readonly<Record<StatusClass, boolean>>;

const NONE: Trait = {
  success: false,
  wrong: false,
  refused: false,
  later: false,
  too_many: false,
  internal: false,
  gateway: false,
  overloaded: false,
  unsupported: false,
};

const UNWELL: Trait = { ...NONE, internal: true, gateway: true, overloaded: true };
const FAILING: Trait = { ...UNWELL, too_many: true, unsupported: true };
const ANSWERED: Trait = { ...NONE, success: true, wrong: true, refused: true };
const SETTLED: Trait = { ...NONE, success: true, wrong: true };
const OPEN: Trait = { ...UNWELL, later: true };
const TOO_MUCH: Trait = { ...NONE, too_many: true, overloaded: true };

/** The upstream is not well. A rate limit is about the caller, and a missing function about the request. */
export const isUnwell = (status: number): boolean => UNWELL[statusClass(status)];

/** The upstream could not do what was asked, as opposed to "you asked wrongly". */
export const isFailing = (status: number): boolean => FAILING[statusClass(status)];

/** The upstream did its work, though the answer may be a 404 to an absurd question. */
export const isAnswered = (status: number): boolean => ANSWERED[statusClass(status)];

/** The upstream has looked at the request and decided: the same request again can only do harm. */
export const isSettled = (status: number): boolean => SETTLED[statusClass(status)];

/** It does not say whether the upstream has acted on the request. 408 is one: some servers say it in the middle of their work. */
export const leavesOpen = (status: number): boolean => OPEN[statusClass(status)];

/** Too Early (RFC 8470 §5.2) and Too Many Requests (RFC 6585 §4): the request was turned away unprocessed. */
export const TURNED_AWAY: readonly number[] = [425, 429];

/** A retry should wait longer than after bad luck. */
export const isTooMuch = (status: number): boolean => TOO_MUCH[statusClass(status)];

/** As written in a list of statuses: a status, or all server errors that can pass (not 501, 505, 506, 510, 511). */
export type WrittenStatus = number | '5xx';

/** Every status that a list stands for. */
export function statusSet(written: readonly WrittenStatus[]): ReadonlySet<number> {
  return new Set(written.flatMap((one) => (one === '5xx' ? SERVER_ERRORS : [one])));
}

const SERVER_ERRORS = CLASSES.map((_, index) => FIRST + index).filter(isUnwell);
