import type { Observer } from './call-record.ts';

/** One observer that informs all `observers`, in order. Each may leave out methods that it does not need. */
export function combine(...observers: readonly Partial<Observer>[]): Observer {
  const onStart = observers.filter(({ attemptStarted }) => attemptStarted !== undefined);
  const onEnded = observers.filter(({ attemptEnded }) => attemptEnded !== undefined);
  const onNote = observers.filter(({ noted }) => noted !== undefined);
  const onEnd = observers.filter(({ callEnded }) => callEnded !== undefined);
  const onDurable = observers.filter(({ durableAttemptEnded }) => durableAttemptEnded !== undefined);
  const onState = observers.filter(({ stateChanged }) => stateChanged !== undefined);
  return {
    attemptStarted: (entry, place) => {
      for (const observer of onStart) observer.attemptStarted?.(entry, place);
    },
    attemptEnded: (result, ms, place) => {
      for (const observer of onEnded) observer.attemptEnded?.(result, ms, place);
    },
    noted: (name, value, place) => {
      for (const observer of onNote) observer.noted?.(name, value, place);
    },
    callEnded: (record) => {
      for (const observer of onEnd) observer.callEnded?.(record);
    },
    durableAttemptEnded: (record) => {
      for (const observer of onDurable) observer.durableAttemptEnded?.(record);
    },
    stateChanged: (upstream, event) => {
      for (const observer of onState) observer.stateChanged?.(upstream, event);
    },
  };
}

/** Informs the observer that `current` returns at that moment. */
export function delegate(current: () => Observer): Observer {
  return {
    attemptStarted: (entry, place) => current().attemptStarted(entry, place),
    attemptEnded: (result, ms, place) => current().attemptEnded(result, ms, place),
    noted: (name, value, place) => current().noted(name, value, place),
    callEnded: (record) => current().callEnded(record),
    durableAttemptEnded: (record) => current().durableAttemptEnded?.(record),
    stateChanged: (upstream, event) => current().stateChanged(upstream, event),
  };
}

/** The same observer, for the state of one tenant. */
export function ofTenant(observer: Observer, tenant: string): Observer {
  return {
    ...observer,
    stateChanged: (upstream, event) => observer.stateChanged(upstream, { ...event, tenant }),
  };
}
