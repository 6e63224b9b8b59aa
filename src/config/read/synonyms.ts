/** Words of other tools and libraries, without `_` and `-`, and the key that does the same here. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['circuitbreaker', 'breaker'],
  ['outlierdetection', 'breaker'],
  ['ratelimit', 'quota'],
  ['ratelimits', 'quota'],
  ['ratelimiter', 'quota'],
  ['throttle', 'quota'],
  ['timeout', 'timeouts'],
  ['connecttimeout', 'timeouts.connect'],
  ['requesttimeout', 'timeouts.total'],
  ['pertrytimeout', 'timeouts.attempt'],
  ['deadline', 'timeouts.total'],
  ['retries', 'retry.attempts'],
  ['maxretries', 'retry.attempts'],
  ['numretries', 'retry.attempts'],
  ['maxattempts', 'retry.attempts'],
  ['retryon', 'retry.statuses'],
  ['backoff', 'retry.backoff'],
  ['jitter', 'retry.backoff.jitter'],
  ['budget', 'retry.budget'],
  ['idempotencykey', 'retry.idempotency_key'],
  ['idempotency', 'retry.idempotency_key'],
  ['threshold', 'breaker.failure_rate'],
  ['maxconcurrency', 'concurrency.max'],
  ['bulkhead', 'concurrency'],
  ['ttl', 'cache.ttl'],
  ['baseurl', 'url'],
  ['endpoint', 'url'],
  ['address', 'url'],
  ['target', 'url'],
  ['host', 'url'],
  ['prefix', 'mount'],
  ['port', 'listen'],
  ['services', 'upstreams'],
  ['backends', 'upstreams'],
  ['clusters', 'upstreams'],
  ['providers', 'upstreams'],
  ['loglevel', 'log.level'],
]);

/** The key that was probably meant, relative to a section with the keys `known`; undefined if no other word is known for it. */
export function synonym(key: string, known: readonly string[]): string | undefined {
  const meant = SYNONYMS.get(key.toLowerCase().replace(/[-_]/g, ''));
  if (meant === undefined) return undefined;
  const [first = '', second] = meant.split('.');
  if (known.includes(first)) return meant;
  // Inside the section itself: retry.max_retries is retry.attempts.
  const last = meant.slice(first.length + 1);
  return second !== undefined && known.includes(second) ? last : undefined;
}
