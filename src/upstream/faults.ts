import type { Call } from '../proxy/call.ts';
import type { Fault, FaultOptions } from '../proxy/fault.ts';
import type { Dispatch } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Sender } from './agent.ts';
import type { ExchangeOptions } from './exchange.ts';
import type { Controller, Handler, ReplyFields, Request } from './handler.ts';
import { upstreamDispatch } from './send.ts';

export interface FaultDeps extends ExchangeOptions {
  readonly random: Random;
}

/**
 * As `upstreamDispatch`, with faults in some attempts. A fault takes the place of the connection, so all policies, the log and the
 * metrics see it as they would see the upstream's own.
 */
export function faultyDispatch(
  sender: Sender,
  origin: string,
  options: FaultOptions,
  deps: FaultDeps,
): Dispatch {
  const real = upstreamDispatch(sender, origin, deps);
  return (call, attempt, receiver) => {
    const fault = chosen(call, options, deps.random);
    if (fault === undefined) return real(call, attempt, receiver);
    call.journal.note('fault', shownFault(fault));
    upstreamDispatch(new FaultySender(fault, sender, deps.clock), origin, deps)(call, attempt, receiver);
  };
}

function chosen(
  { overrides }: Call,
  { byHeader, fault, share }: FaultOptions,
  random: Random,
): Fault | undefined {
  const asked = byHeader ? overrides?.fault : undefined;
  if (asked !== undefined) return asked;
  return fault !== undefined && random() < share ? fault : undefined;
}

/** The name of a fault in metrics, from a closed set. */
function shownFault({ end }: Fault): 'delay' | 'reset' | 'stall' | 'status' {
  if (typeof end === 'number') return 'status';
  return end === 'pass' ? 'delay' : end;
}

class FaultySender implements Sender {
  readonly #fault: Fault;
  readonly #real: Sender;
  readonly #clock: Clock;

  constructor(fault: Fault, real: Sender, clock: Clock) {
    this.#fault = fault;
    this.#real = real;
    this.#clock = clock;
  }

  dispatch(request: Request, handler: Handler): boolean {
    const { delayMs } = this.#fault;
    // The request counts as queued until then: an attempt that ends meanwhile was not sent.
    if (delayMs > 0) this.#clock.timer(delayMs, () => this.#begin(request, handler));
    else this.#begin(request, handler);
    return true;
  }

  #begin(request: Request, handler: Handler): void {
    const { end } = this.#fault;
    if (end === 'pass') this.#real.dispatch(request, handler);
    else new FaultyConnection(handler).begin(end);
  }
}

const NO_BODY: ReplyFields = { list: ['content-length', '0'] };
const NO_TRAILERS: ReplyFields = { list: [] };

/** Acts as undici's side of one request. */
class FaultyConnection implements Controller {
  readonly #handler: Handler;
  #aborted = false;
  #paused = false;
  #ends = false;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  begin(end: Exclude<Fault['end'], 'pass'>): void {
    this.#handler.onRequestStart(this);
    if (this.#aborted || end === 'stall') return;
    if (end === 'reset')
      return this.#fail(Object.assign(new Error('an injected fault'), { code: 'ECONNRESET' }));
    this.#handler.onResponseStart(this, end, NO_BODY, 'Injected Fault');
    this.#ends = true;
    this.#end();
  }

  #end(): void {
    if (!this.#ends || this.#paused || this.#aborted) return;
    this.#ends = false;
    this.#handler.onResponseEnd(this, NO_TRAILERS);
  }

  #fail(error: Error): void {
    this.#handler.onResponseError(this, error);
  }

  abort(reason: Error): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#fail(reason);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#end();
  }
}
