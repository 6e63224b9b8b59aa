import type { Line } from '../policies/quota/line.ts';
import type { Quota } from '../policies/quota/quota.ts';
import type { BucketSnapshot, CredentialSnapshot, QuotaSnapshot } from '../proxy/snapshot.ts';

/** More than anybody reads; the gauges know all. */
const MOST_SHOWN = 100;

export function quotaSnapshot(quota: Quota, now: number): QuotaSnapshot {
  const all = Array.from(quota.lines, ([credential, line]) => credentialSnapshot(credential, line, now));
  const scarcest = new Map<string, BucketSnapshot>();
  for (const bucket of all.flatMap(({ buckets }) => buckets)) {
    const known = scarcest.get(bucket.bucket);
    if (known === undefined || bucket.remaining < known.remaining) scarcest.set(bucket.bucket, bucket);
  }
  return {
    waiting: quota.waiting,
    gatesClosed: all.filter(({ gate }) => gate !== undefined).length,
    scarcest: [...scarcest.values()],
    credentials: all.slice(0, MOST_SHOWN),
  };
}

function credentialSnapshot(credential: string, line: Line, now: number): CredentialSnapshot {
  const { gate, windows, meters } = line.allowance;
  const retryAfterMs = gate.closedMs(now);
  return {
    credential,
    waiting: line.size,
    gate: retryAfterMs === undefined ? undefined : { cause: gate.cause ?? 'probing', retryAfterMs },
    buckets: [
      ...windows.map(({ name, gcra }) => ({
        bucket: name,
        policy: '',
        limit: gcra.burst,
        remaining: gcra.remaining(now),
        resetMs: gcra.resetMs(now),
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
