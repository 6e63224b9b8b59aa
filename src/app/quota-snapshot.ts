import type { Limiter } from '../policies/quota/limiter.ts';
import type { QuotaQueue } from '../policies/quota/quota-queue.ts';
import type { Quota } from '../policies/quota/quota.ts';
import type { BucketSnapshot, CredentialSnapshot, QuotaSnapshot } from '../telemetry/snapshot.ts';

/** Maximum number of credentials in a snapshot, to bound its size. The gauges count all. */
const MOST_SHOWN = 100;

export function quotaSnapshot(quota: Quota, now: number): QuotaSnapshot {
  const all = [...quota.queues].flatMap(([credential, queue]) => queueSnapshot(credential, queue, now));
  const scarcest = new Map<string, BucketSnapshot>();
  for (const bucket of all.flatMap(({ buckets }) => buckets)) {
    const known = scarcest.get(bucket.bucket);
    if (known === undefined || bucket.remaining < known.remaining) scarcest.set(bucket.bucket, bucket);
  }
  return {
    shadow: quota.options.mode === 'shadow' || undefined,
    waiting: quota.waiting,
    cooldowns: all.filter(({ cooldown }) => cooldown !== undefined).length,
    scarcest: [...scarcest.values()],
    credentials: all.slice(0, MOST_SHOWN),
  };
}

/** Limits for all calls of the credential first, then limits for some calls. */
function queueSnapshot(credential: string, { quota, size }: QuotaQueue, now: number): CredentialSnapshot[] {
  const whole = { credential, waiting: size, ...limiterSnapshot(quota.whole, now) };
  const parts = Array.from(quota.parts, ([limited, limiter]) => ({
    credential,
    limited,
    waiting: 0,
    ...limiterSnapshot(limiter, now),
  }));
  return [whole, ...parts].filter(
    ({ buckets, cooldown, waiting }) => waiting > 0 || cooldown !== undefined || buckets.length > 0,
  );
}

const reporterOf = ({ seenBy }: Limiter['cooldown']) => (seenBy === 'this' ? undefined : seenBy);

function limiterSnapshot({ cooldown, windows, meters }: Limiter, now: number) {
  const retryAfterMs = cooldown.remainingMs(now);
  return {
    cooldown:
      retryAfterMs === undefined
        ? undefined
        : { cause: cooldown.cause ?? 'throttled', retryAfterMs, reportedBy: reporterOf(cooldown) },
    buckets: [
      ...windows.map(({ name, limit, tokens }) => ({
        bucket: name,
        policy: '',
        limit,
        remaining: tokens.remaining(now),
        resetMs: tokens.resetMs(now),
      })),
      ...meters.flatMap((meter) => {
        const { bucket, policy, limit } = meter;
        const remaining = meter.remaining(now);
        return remaining === undefined
          ? []
          : [{ bucket, policy, limit, remaining, resetMs: meter.resetMs(now) }];
      }),
    ],
  };
}
