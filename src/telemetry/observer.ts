import type { Observer } from './call-record.ts';

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
