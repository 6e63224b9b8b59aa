import type { Dispatcher } from 'undici';
import type { Call } from '../proxy/call.ts';
import type { Fault, FaultOptions } from '../proxy/fault.ts';
import type { Dispatch } from '../proxy/pipeline.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Sender } from './agent.ts';
import type { ExchangeOptions } from './exchange.ts';
import { upstreamDispatch } from './send.ts';

type Handler = Dispatcher.DispatchHandler;
type Options = Dispatcher.DispatchOptions;

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

  dispatch(options: Options, handler: Handler): boolean {
    const { delayMs } = this.#fault;
    // The request counts as queued until then: an attempt that ends meanwhile was not sent.
    if (delayMs > 0) this.#clock.timer(delayMs, () => this.#begin(options, handler));
    else this.#begin(options, handler);
    return true;
  }

  #begin(options: Options, handler: Handler): void {
    const { end } = this.#fault;
    if (end === 'pass') this.#real.dispatch(options, handler);
    else new FaultyConnection(handler).begin(end);
  }
}

/** Acts as undici's side of one request. */
class FaultyConnection implements Dispatcher.DispatchController {
  readonly #handler: Handler;
  readonly rawTrailers: Buffer[] = [];
  rawHeaders: Buffer[] = [];
  aborted = false;
  paused = false;
  reason: Error | null = null;
  #ends = false;

  constructor(handler: Handler) {
    this.#handler = handler;
  }

  begin(end: Exclude<Fault['end'], 'pass'>): void {
    this.#handler.onRequestStart?.(this, {});
    if (this.aborted || end === 'stall') return;
    if (end === 'reset')
      return this.#fail(Object.assign(new Error('an injected fault'), { code: 'ECONNRESET' }));
    this.rawHeaders = ['content-length', '0'].map((text) => Buffer.from(text));
    this.#handler.onResponseStart?.(this, end, {}, 'Injected Fault');
    this.#ends = true;
    this.#end();
  }

  #end(): void {
    if (!this.#ends || this.paused || this.aborted) return;
    this.#ends = false;
    this.#handler.onResponseEnd?.(this, {});
  }

  #fail(error: Error): void {
    this.#handler.onResponseError?.(this, error);
  }

  abort(reason: Error): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    this.#fail(reason);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.#end();
  }
}
