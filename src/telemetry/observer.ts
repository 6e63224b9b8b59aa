import type { CallEvent, StateEvent } from '../proxy/events.ts';
import type { CallRecord } from './call-record.ts';

/** Whoever listens to what happens in the proxy: metrics, log, recent calls. It must neither throw nor keep a call waiting. */
export interface Observer {
  /** After the record has taken the event in. */
  callEvent(record: CallRecord, event: CallEvent): void;
  /** Once per call, when the last byte is out, the client has gone or the call was refused. */
  callEnded(record: CallRecord): void;
  /** A change outside any call. */
  stateChanged(upstream: string, event: StateEvent): void;
}

/** One observer that tells all `observers`, in their order; each may leave out what it does not care for. */
export function combine(...observers: readonly Partial<Observer>[]): Observer {
  const onEvent = observers.filter((observer) => observer.callEvent !== undefined);
  const onEnd = observers.filter((observer) => observer.callEnded !== undefined);
  const onState = observers.filter((observer) => observer.stateChanged !== undefined);
  return {
    callEvent: (record, event) => {
      for (const observer of onEvent) observer.callEvent?.(record, event);
    },
    callEnded: (record) => {
      for (const observer of onEnd) observer.callEnded?.(record);
    },
    stateChanged: (upstream, event) => {
      for (const observer of onState) observer.stateChanged?.(upstream, event);
    },
  };
}

/** Tells whoever `current` gives at the time. */
export function delegate(current: () => Observer): Observer {
  return {
    callEvent: (record, event) => current().callEvent(record, event),
    callEnded: (record) => current().callEnded(record),
    stateChanged: (upstream, event) => current().stateChanged(upstream, event),
  };
}
