import type { StateEvent } from '../proxy/events.ts';
import type { Logger } from '../runtime/logger.ts';
import { shownDuration } from './shown-duration.ts';

const BREAKER_WORDS = { open: 'opened', half_open: 'half-open, probing', closed: 'closed' } as const;

/** Logs a change outside calls, if it is important enough. */
export function logState(logger: Logger, upstream: string, event: StateEvent): void {
  if (isCooldown(event)) return logCooldown(logger, upstream, event);
  if (event.type === 'quota_remembered') return logRemembered(logger, upstream, event);
  if (event.type === 'credential_renewal') return logRenewal(logger, upstream, event);
  if (event.type === 'target_changed') return logTarget(logger, upstream, event);
  if (event.type !== 'breaker_changed') return;
  const { scope, tenant, from, to, cause } = event;
  const level = to === 'open' ? 'warn' : 'info';
  logger[level](
    { upstream, scope, tenant, from, to, cause },
    `breaker of ${whereOf(upstream, event)} ${BREAKER_WORDS[to]}: ${cause.replaceAll('_', ' ')}`,
  );
}

function logRenewal(
  logger: Logger,
  upstream: string,
  event: Extract<StateEvent, { type: 'credential_renewal' }>,
): void {
  const { scope, result, detail } = event;
  const where = whereOf(upstream, event);
  const fields = { upstream, scope, result };
  if (result === 'renewed') logger.debug(fields, `credential of ${where} renewed`);
  else logger.warn(fields, `credential of ${where} not renewed: ${detail}`);
}

function logTarget(
  logger: Logger,
  upstream: string,
  { target, to, cause }: Extract<StateEvent, { type: 'target_changed' }>,
): void {
  const fields = { upstream, target, to, cause };
  const where = `target ${target} of ${upstream}`;
  if (cause === 'operator')
    logger.info(fields, `${where} was ${to === 'out' ? 'taken out' : 'put in'} by an operator`);
  else if (cause === 'accepted')
    logger.info(fields, `${where} gets calls again: its credential was accepted`);
  else
    logger.warn(
      fields,
      `${where} gets no calls: its credential was refused (${cause.slice('status_'.length)}), and other targets accepted the same calls; check its key or its account`,
    );
}

const REPORTERS = {
  quota_cooldown_started: undefined,
  quota_cooldown_heard: 'another replica',
  quota_cooldown_remembered: 'an earlier process',
} as const;

type CooldownEvent = Extract<StateEvent, { type: keyof typeof REPORTERS }>;

const isCooldown = (event: StateEvent): event is CooldownEvent => event.type in REPORTERS;

function logRemembered(
  logger: Logger,
  upstream: string,
  event: Extract<StateEvent, { type: 'quota_remembered' }>,
): void {
  const { scope, tenant, credential } = event;
  logger.info(
    { upstream, scope, tenant, credential_hash: credential || undefined },
    `quota of ${whereOf(upstream, event)}: what an earlier process knew about one credential still counts`,
  );
}

const COOLDOWN_WORDS = {
  retry_after: 'the upstream says how long to wait',
  throttled: 'the upstream says that there are too many calls',
  permanent: 'the upstream says that the quota is used up',
} as const;

function logCooldown(logger: Logger, upstream: string, event: CooldownEvent): void {
  const { scope, tenant, cause, remainingMs, credential, limited, shadow } = event;
  const from = REPORTERS[event.type];
  const wait = shadow ? 'would wait (shadow)' : 'wait';
  logger.warn(
    {
      upstream,
      scope,
      tenant,
      cause,
      cooldown_ms: Math.round(remainingMs),
      credential_hash: credential || undefined,
      limited: limited || undefined,
      reported_by: from,
      shadow,
    },
    `quota of ${whereOf(upstream, event)}: ${limited || 'all calls'} of one credential ${wait} for ${shownDuration(remainingMs)}, or until a probe succeeds: ${COOLDOWN_WORDS[cause]}${from === undefined ? '' : ` (reported by ${from})`}`,
  );
}

/** The upstream, the scope of its state if it is not the upstream's own, and the tenant. */
function whereOf(upstream: string, { scope, tenant }: StateEvent): string {
  const where = scope === upstream ? upstream : `${upstream} (${scope})`;
  return tenant === undefined ? where : `${where}, tenant ${tenant}`;
}
