import { type ErrorCode, ProxyError } from '../../src/proxy/errors.ts';
import type { RetryReason, StateEvent } from '../../src/proxy/events.ts';
import type { NoteName } from '../../src/proxy/notes.ts';
import type { CallResult } from '../../src/telemetry/call-outcome.ts';
import { type CallInfo, CallRecord, type Observer } from '../../src/telemetry/call-record.ts';
import { FakeClock } from './fake-clock.ts';

/** The events of an observer, in order. */
export class RecordingObserver implements Observer {
  /** Names of notes, `started`, and how attempts ended. */
  readonly events: (string | number)[] = [];
  readonly ended: CallRecord[] = [];
  readonly states: StateEvent[] = [];

  attemptStarted(): void {
    this.events.push('started');
  }

  attemptEnded(result: number | ErrorCode): void {
    this.events.push(result);
  }

  noted(name: NoteName): void {
    this.events.push(name);
  }

  callEnded(record: CallRecord): void {
    this.ended.push(record);
  }

  stateChanged(_upstream: string, event: StateEvent): void {
    this.states.push(event);
  }
}

/** Records the events of a call, step by step, on a clock that the test controls. */
export class Story {
  readonly clock = new FakeClock();
  readonly record: CallRecord;
  #attempt = 0;

  constructor(observer: Observer = new RecordingObserver(), info: Partial<CallInfo> = {}) {
    const usual = { id: 'c1', upstream: 'demo', route: 'default', method: 'GET', target: '/flaky' };
    this.record = new CallRecord({ ...usual, ...info }, this.clock, observer);
  }

  /** An attempt of `ms` that gets a status, or fails with a code. */
  async attempt(result: number | ErrorCode, ms = 10): Promise<this> {
    const attempt = ++this.#attempt;
    this.record.attemptStarted(attempt);
    await this.clock.advance(ms);
    if (typeof result === 'number') this.record.attemptAnswered(attempt, { status: result }, ms);
    else this.record.attemptFailed(attempt, new ProxyError(result, '', { sent: 'sent_unknown' }), ms);
    return this;
  }

  /** A backoff of `ms`, slept to its end unless it is `cut`. */
  async wait(ms: number, reason: RetryReason, cut = false): Promise<this> {
    this.record.retryScheduled(this.#attempt + 1, ms, reason);
    if (!cut) await this.clock.advance(ms);
    return this;
  }

  end(result: Partial<CallResult> = {}): CallRecord {
    this.record.finish({ status: 200, origin: 'upstream', ...result });
    return this.record;
  }
}

/** 503, 412 ms, 503, 1.3 s, 200. */
export async function rescuedStory(observer?: Observer, info?: Partial<CallInfo>): Promise<Story> {
  const story = new Story(observer, info);
  await story.attempt(503);
  await story.wait(412, 'status_503');
  await story.attempt(503);
  await story.wait(1300, 'status_503');
  return story.attempt(200, 5);
}
