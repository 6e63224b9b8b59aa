/**
 * The meaning of a status if no error rule of the API applies:
 *
 * - `success`: below 400
 * - `wrong`: the same request gets the same reply
 * - `refused`: not processed, for a reason that can change (credentials, a conflict, another server)
 * - `later`: not processed now; the same request may succeed
 * - `too_many`: the caller sends too many requests
 * - `internal`: the server failed, possibly in the middle of processing
 * - `gateway`: a server in front of the API got no valid reply from it
 * - `overloaded`: the server is overloaded
 * - `unsupported`: the server does not support the request, which says nothing about its health
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

/** Statuses with another class than 400 or 500. */
const STATUSES: Readonly<Partial<Record<StatusClass, readonly number[]>>> = {
  refused: [401, 403, 409, 421],
  later: [408, 425],
  too_many: [429],
  // 520 to 527 and 530 are Cloudflare's. Some proxies report timeouts as 598 and 599.
  gateway: [502, 504, 520, 521, 522, 523, 524, 525, 526, 527, 530, 598, 599],
  overloaded: [503, 529],
  unsupported: [501, 505, 506, 510, 511],
};

const FIRST = 400;
const LAST = 599;

/** The class of every error status. An unknown one is treated as 400 or 500 (RFC 9110 §15). */
const CLASSES: readonly StatusClass[] = Array.from({ length: LAST - FIRST + 1 }, (_, index) => {
  const status = FIRST + index;
  for (const [name, statuses] of Object.entries(STATUSES)) {
    if (statuses.includes(status)) return name as StatusClass;
  }
  return status < 500 ? 'wrong' : 'internal';
});

/** The class of a status. One above 599, which HTTP does not define, is a failure of the server. */
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

/** Whether a status shows an unhealthy upstream. A rate limit is about the caller, and an unsupported request about the request. */
export const isUnwell = (status: number): boolean => UNWELL[statusClass(status)];

/** Whether the upstream could not process the request, which was not itself wrong. */
export const isFailing = (status: number): boolean => FAILING[statusClass(status)];

/** Whether the upstream works, even if the reply is a 404 or a refusal. */
export const isAnswered = (status: number): boolean => ANSWERED[statusClass(status)];

/** Whether the upstream has decided on the request, so that a repetition cannot help. */
export const isSettled = (status: number): boolean => SETTLED[statusClass(status)];

/** Whether the outcome is unknown. This includes 408, because some servers send it in the middle of processing. */
export const leavesOpen = (status: number): boolean => OPEN[statusClass(status)];

/** Too Early (RFC 8470 §5.2) and Too Many Requests (RFC 6585 §4): the request was not processed. */
export const TURNED_AWAY: readonly number[] = [425, 429];

/** Whether a retry should wait longer than after a random failure. */
export const isTooMuch = (status: number): boolean => TOO_MUCH[statusClass(status)];

/** An entry in a configured list of statuses. `5xx`: all transient server errors (not 501, 505, 506, 510, 511). */
export type WrittenStatus = number | '5xx';

/** The statuses of a configured list. */
export function statusSet(written: readonly WrittenStatus[]): ReadonlySet<number> {
  return new Set(written.flatMap((one) => (one === '5xx' ? SERVER_ERRORS : [one])));
}

const SERVER_ERRORS = CLASSES.map((_, index) => FIRST + index).filter(isUnwell);
