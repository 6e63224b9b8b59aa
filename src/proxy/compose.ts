import type { BodyEnd, HeldBackListener, Reply, ReplyBody } from '../http/reply.ts';
import type { Attempt } from './attempt.ts';
import type { Call } from './call.ts';
import {
  type After,
  type Dispatch,
  dispatchBy,
  type Hook,
  type Policy,
  type Receiver,
  sendBy,
} from './pipeline.ts';

/** Builds a route's pipeline. The first policy is outermost: it sees the call first and the reply last. */
export function compose(policies: readonly Policy[], upstream: Dispatch): Dispatch {
  let next = upstream;
  let hooks: Hook[] = [];
  for (const policy of policies.toReversed()) {
    if ('before' in policy) {
      hooks = [policy, ...hooks];
      continue;
    }
    const inner = hooked(hooks, next);
    next = 'relay' in policy ? policy.relay(inner) : dispatchBy(policy(sendBy(inner)));
    hooks = [];
  }
  return hooked(hooks, next);
}

/** Neighbouring hooks share one run of each attempt. */
function hooked(hooks: readonly Hook[], next: Dispatch): Dispatch {
  if (hooks.length === 0) return next;
  const path = { hooks, next };
  return (call, attempt, receiver) => new HookRun(path, call, attempt, receiver).enter();
}

/** Hooks, and what follows them. */
interface Path {
  readonly hooks: readonly Hook[];
  readonly next: Dispatch;
}

/**
 * One attempt on its way through hooks: into the first, then the second …, and back in reverse. A hook that was entered is always
 * left, even if another one refuses the attempt or has a bug.
 */
class HookRun implements Receiver, HeldBackListener {
  readonly #path: Path;
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #receiver: Receiver;
  /** By hook; undefined for those with nothing to do. */
  readonly #afters: (After | undefined)[];
  /** The number of hooks that were entered and not left. */
  #entered = 0;

  constructor(path: Path, call: Call, attempt: Attempt, receiver: Receiver) {
    this.#path = path;
    this.#call = call;
    this.#attempt = attempt;
    this.#receiver = receiver;
    this.#afters = path.hooks.map(nothing);
  }

  enter(): void {
    const { hooks, next } = this.#path;
    const call = this.#call;
    const attempt = this.#attempt;
    try {
      while (this.#entered < hooks.length) {
        const after = (hooks[this.#entered] as Hook).before(call, attempt);
        if (after instanceof Promise) return void this.#enterLater(after);
        this.#afters[this.#entered++] = after;
      }
    } catch (error) {
      return this.failed(error);
    }
    next(call, attempt, this);
  }

  async #enterLater(wait: Promise<After | undefined>): Promise<void> {
    try {
      const after = await wait;
      this.#afters[this.#entered++] = after;
    } catch (error) {
      return this.failed(error);
    }
    this.enter();
  }

  replied(received: Reply): void {
    let reply = received;
    try {
      for (; this.#entered > 0; this.#entered--)
        reply = this.#afters[this.#entered - 1]?.replied(reply) ?? reply;
    } catch (bug) {
      this.failed(bug);
      this.#follow(reply.body);
      return reply.body.discard();
    }
    this.#follow(reply.body);
    this.#receiver.replied(reply);
  }

  failed(error: unknown): void {
    let reason = error;
    while (this.#entered > 0) {
      const at = --this.#entered;
      const after = this.#afters[at];
      this.#afters[at] = undefined;
      try {
        if (after?.failed(reason) === 'again') return this.enter();
      } catch (bug) {
        reason = bug;
      }
    }
    this.#receiver.failed(reason);
  }

  /** Most hooks need no more than the head. */
  #follow(body: ReplyBody): void {
    let needsEnd = false;
    let needsHeldBack = false;
    const afters = this.#afters;
    for (let at = 0; at < afters.length; at++) {
      const after = afters[at];
      needsEnd ||= after?.ended !== undefined;
      needsHeldBack ||= after?.heldBack !== undefined;
    }
    if (needsEnd) body.onEnd(this);
    if (needsHeldBack) body.onHeldBack?.(this);
  }

  ended(end: BodyEnd): void {
    for (let at = this.#afters.length - 1; at >= 0; at--) this.#afters[at]?.ended?.(end);
  }

  heldBack(): void {
    for (let at = this.#afters.length - 1; at >= 0; at--) this.#afters[at]?.heldBack?.();
  }
}

function nothing(): After | undefined {
  return undefined;
}
