import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Dispatch, Receiver } from '../../proxy/pipeline.ts';
import type { Target } from './target.ts';
import { CallTrail, type Pool } from './trail.ts';

/**
 * Sends each attempt to one of several keys or hosts of the upstream. Each has its own policies of an attempt: a quota is a fact of
 * the credential, a breaker one of the host.
 */
export function targetsDispatch(pool: Pool): Dispatch {
  return (call, attempt, receiver) => {
    const trail = attempt.trail instanceof CallTrail ? attempt.trail : new CallTrail(pool, call);
    const target = trail.next();
    if (target === undefined) return receiver.failed(noTarget(call));
    call.journal.note('target', target.name);
    const sent = new SentToTarget({ call, attempt, receiver }, { trail, target, startedAt: pool.now() });
    const prepared = target.prepare({ ...call, journal: call.journal.at(target.name) }, attempt.signal);
    if (prepared instanceof Promise)
      prepared.then(
        (ready) => target.dispatch(ready, attempt, sent),
        (error: unknown) => sent.failed(error),
      );
    else target.dispatch(prepared, attempt, sent);
  };
}

const noTarget = ({ targetName }: Call): ProxyError =>
  new ProxyError(
    'no_target',
    targetName === undefined
      ? 'every target is taken out, or has refused its credential for this call'
      : `the target ${targetName}, which has got the request before, is not in service; put it in again`,
  );

interface Sent {
  readonly call: Call;
  readonly attempt: Attempt;
  readonly receiver: Receiver;
}

interface SentTo {
  readonly trail: CallTrail;
  readonly target: Target;
  readonly startedAt: number;
}

/** One attempt at a target. */
class SentToTarget implements Receiver {
  readonly #sent: Sent;
  readonly #to: SentTo;

  constructor(sent: Sent, to: SentTo) {
    this.#sent = sent;
    this.#to = to;
  }

  replied(reply: Reply): void {
    const { trail, target, startedAt } = this.#to;
    trail.replied(target, reply, startedAt);
    reply.body.onEnd(() => target.state.load.end());
    // Of two attempts at the same time, the one that answers counts.
    this.#sent.call.journal.note('target', target.name);
    this.#sent.receiver.replied(reply);
  }

  failed(error: unknown): void {
    const { trail, target } = this.#to;
    target.state.load.end();
    if (error instanceof ProxyError) trail.failedAt(target, error);
    else trail.ended(target);
    this.#sent.receiver.failed(error);
  }
}
