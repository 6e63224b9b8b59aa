import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { StateEvent } from '../../proxy/events.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { type Random, unguessableId } from '../../runtime/random.ts';
import type { Observer } from '../../telemetry/call-record.ts';
import { eventOf, type OperatorEvent } from '../../telemetry/operator-events/event.ts';
import { messageOf } from '../../telemetry/operator-events/message.ts';
import type { EventOptions } from '../../telemetry/operator-events/options.ts';
import { Outbox, type OutgoingEvent } from '../../telemetry/operator-events/outbox.ts';
import { shuttingDown } from '../../proxy/errors.ts';
import { type Delivery, Webhook } from './webhook.ts';

export interface OperatorEventsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Counts deliveries. */
  readonly observer: Pick<Observer, 'stateChanged'>;
}

type Outcome = Extract<StateEvent, { type: 'operator_event' }>['outcome'];

/** Tells operators what they need to know, by a webhook. One delivery runs at a time. */
export class OperatorEvents implements Pick<Observer, 'stateChanged'> {
  readonly #deps: OperatorEventsDeps;
  readonly #outbox = new Outbox(() => `evt_${unguessableId()}`);
  readonly #instance = hostname();
  readonly #stopped = new Abort();
  #options: EventOptions | undefined;
  #webhook: Webhook | undefined;
  #timer: Timer | undefined;
  #delivering = false;
  #failing = false;

  constructor(deps: OperatorEventsDeps) {
    this.#deps = deps;
  }

  /** Follows a configuration; undefined: no events. Messages that wait go to the new webhook. */
  setUp(options: EventOptions | undefined): void {
    if (isDeepStrictEqual(options, this.#options)) return;
    this.#webhook?.close();
    this.#options = options;
    this.#webhook = options && new Webhook(options, this.#deps.clock);
    this.#wake();
  }

  stateChanged(upstream: string, event: StateEvent): void {
    const found = this.#options && eventOf(upstream, event);
    if (found !== undefined) this.report(found);
  }

  report(event: OperatorEvent): void {
    if (this.#options?.types.includes(event.type) !== true || this.#stopped.aborted) return;
    const { clock } = this.#deps;
    const added = this.#outbox.add(event, clock.now(), clock.wallTime());
    if (added !== 'added') this.#count(added);
    this.#wake();
  }

  close(): void {
    this.#stopped.abort(shuttingDown());
    this.#timer?.cancel();
    this.#webhook?.close();
  }

  #wake(): void {
    this.#timer?.cancel();
    const at = this.#outbox.nextAt();
    if (this.#delivering || this.#webhook === undefined || at === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#deps;
    this.#timer = clock.timer(Math.max(0, at - clock.now()), () => void this.#deliverNext());
  }

  async #deliverNext(): Promise<void> {
    const message = this.#outbox.next(this.#deps.clock.now());
    const [webhook, options] = [this.#webhook, this.#options];
    if (message !== undefined && webhook !== undefined && options !== undefined) {
      this.#delivering = true;
      const body = messageOf(message, options.format, this.#instance);
      const delivery = await webhook.deliver(message.id, body, this.#stopped);
      this.#delivering = false;
      if (this.#stopped.aborted) return;
      this.#settle(message, delivery);
    }
    this.#wake();
  }

  #settle(message: OutgoingEvent, delivery: Delivery): void {
    const { clock, random } = this.#deps;
    this.#count(delivery.kind);
    this.#logChange(delivery);
    if (delivery.kind === 'failed') this.#outbox.failed(clock.now(), random(), delivery.askedMs);
    else this.#outbox.done(message, clock.now());
  }

  /** One line when the webhook begins to fail, and one when it works again. Its path may be a secret. */
  #logChange(delivery: Delivery): void {
    const { logger } = this.#deps;
    const failing = delivery.kind !== 'delivered';
    if (failing === this.#failing) return;
    this.#failing = failing;
    const where = this.#options?.origin;
    if (!failing) logger.info({ webhook: where }, 'the webhook for events takes messages again');
    else if (delivery.kind === 'refused')
      logger.warn({ webhook: where }, `the webhook for events refused a message: ${delivery.why}`);
    else logger.warn({ webhook: where }, `events cannot be delivered, and are tried again: ${delivery.why}`);
  }

  #count(outcome: Outcome): void {
    this.#deps.observer.stateChanged('', { type: 'operator_event', scope: '', outcome });
  }
}
