import type { StateEvent } from '../../proxy/events.ts';
import { shownDuration } from '../shown-duration.ts';

export type EventType =
  | 'breaker.opened'
  | 'breaker.closed'
  | 'quota.cooldown'
  | 'quota.exhausted'
  | 'store.failed'
  | 'store.recovered'
  | 'backlog.old'
  | 'backlog.recovered'
  | 'config.refused'
  | 'config.accepted'
  | 'certificate.expiring';

/** Something that an operator wants to know. */
export interface OperatorEvent {
  readonly type: EventType;
  /** Events with the same key replace each other while they wait, such as both directions of one breaker. */
  readonly key: string;
  /** One sentence for people. */
  readonly summary: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A shorter cooldown ends by itself before a person could act. */
const LONG_COOLDOWN_MS = 5 * 60_000;

/** The event for a change of state; undefined if no operator needs to know. */
export function eventOf(upstream: string, event: StateEvent): OperatorEvent | undefined {
  if (event.type === 'breaker_changed') return breakerEvent(upstream, event);
  if (event.type === 'quota_cooldown_started') return quotaEvent(upstream, event);
  return event.type === 'store_health' ? storeEvent(event) : undefined;
}

type StateOf<T extends StateEvent['type']> = Extract<StateEvent, { type: T }>;

/** The owner of the state, as text for people. */
const whose = ({ scope, tenant }: StateEvent): string =>
  tenant === undefined ? scope : `${scope}, tenant ${tenant}`;

function breakerEvent(upstream: string, change: StateOf<'breaker_changed'>): OperatorEvent | undefined {
  const { scope, tenant, from, to, cause } = change;
  // A failed probe opens it again, which is no news during an outage.
  const opened = to === 'open' && from === 'closed';
  if (!opened && to !== 'closed') return undefined;
  const why = cause === 'reload' ? 'a reload has replaced or removed it' : cause.replaceAll('_', ' ');
  return {
    type: opened ? 'breaker.opened' : 'breaker.closed',
    key: `breaker ${whose(change)}`,
    summary: opened
      ? `breaker of ${whose(change)} opened: ${why}; its calls are refused`
      : `breaker of ${whose(change)} closed: ${why}; its calls are sent again`,
    details: { upstream, scope, tenant, cause },
  };
}

function quotaEvent(upstream: string, start: StateOf<'quota_cooldown_started'>): OperatorEvent | undefined {
  const { scope, tenant, cause, remainingMs, credential, limited } = start;
  const details = {
    upstream,
    scope,
    tenant,
    credential_hash: credential || undefined,
    limited: limited || undefined,
  };
  if (cause === 'permanent')
    return {
      type: 'quota.exhausted',
      key: `quota ${whose(start)}`,
      summary: `quota of ${whose(start)} is used up, and waiting does not help: look at the account at the provider`,
      details,
    };
  if (remainingMs < LONG_COOLDOWN_MS) return undefined;
  return {
    type: 'quota.cooldown',
    key: `quota ${whose(start)}`,
    summary: `${whose(start)} asked its callers to wait ${shownDuration(remainingMs)}`,
    details: { ...details, cause, cooldown_ms: Math.round(remainingMs) },
  };
}

function storeEvent({ to, problem }: StateOf<'store_health'>): OperatorEvent {
  return to === 'failed'
    ? {
        type: 'store.failed',
        key: 'store',
        summary: `the store of durable requests fails (${problem}): none is accepted`,
        details: { problem },
      }
    : {
        type: 'store.recovered',
        key: 'store',
        summary: 'the store of durable requests works again',
        details: {},
      };
}
