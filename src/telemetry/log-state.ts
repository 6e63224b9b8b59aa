import type { StateEvent } from '../proxy/events.ts';
import type { Logger } from '../runtime/logger.ts';
import { shownDuration } from './shown-duration.ts';

const BREAKER_WORDS = { open: 'opened', half_open: 'half-open, probing', closed: 'closed' } as const;

/** Logs a change outside calls, if it is important enough. */
export function logState(logger: Logger, upstream: string, event: StateEvent): void {
  if (event.type === 'quota_cooldown_started') return logCooldown(logger, upstream, event);
  if (event.type === 'credential_renewal') return logRenewal(logger, upstream, event);
  if (event.type !== 'breaker_changed') return;
  const { scope, from, to, cause } = event;
  const level = to === 'open' ? 'warn' : 'info';
  logger[level](
    { upstream, scope, from, to, cause },
    `breaker of ${whereOf(upstream, scope)} ${BREAKER_WORDS[to]}: ${cause.replaceAll('_', ' ')}`,
  );
}

function logRenewal(
  logger: Logger,
  upstream: string,
  { scope, result, detail }: Extract<StateEvent, { type: 'credential_renewal' }>,
): void {
  const where = whereOf(upstream, scope);
  const fields = { upstream, scope, result };
  if (result === 'renewed') logger.debug(fields, `credential of ${where} renewed`);
  else logger.warn(fields, `credential of ${where} not renewed: ${detail}`);
}

const COOLDOWN_WORDS = {
  retry_after: 'the upstream says how long to wait',
  throttled: 'the upstream says that there are too many calls',
  permanent: 'the upstream says that the quota is used up',
} as const;

function logCooldown(
  logger: Logger,
  upstream: string,
  { scope, cause, remainingMs, credential, limited }: Extract<StateEvent, { type: 'quota_cooldown_started' }>,
): void {
  logger.warn(
    {
      upstream,
      scope,
      cause,
      cooldown_ms: Math.round(remainingMs),
      credential_hash: credential || undefined,
      limited: limited || undefined,
    },
    `quota of ${whereOf(upstream, scope)}: ${limited || 'all calls'} of one credential wait for ${shownDuration(remainingMs)}, or until a probe succeeds: ${COOLDOWN_WORDS[cause]}`,
  );
}

/** The upstream, and the scope of its state if it is not the upstream's own. */
const whereOf = (upstream: string, scope: string): string =>
  scope === upstream ? upstream : `${upstream} (${scope})`;
