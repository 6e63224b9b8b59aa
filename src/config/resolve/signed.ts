import { type HeaderRules, OVERRIDING_HEADERS } from '../../http/headers.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './context.ts';
import type { Inherited } from './inherit.ts';

/** Other properties of a route that could change signed calls or delay them. */
export interface SignedContext {
  readonly headers: HeaderRules;
  readonly durable: boolean;
}

/** Reports settings that would change a signed call, or send it after its signature has expired. */
export function checkSigned(settings: Inherited<Settings>, context: SignedContext, report: Report): void {
  const origin = settings.origins.get('signed.max_age');
  if (origin === undefined || settings.values.signed.max_age === null) return;
  for (const conflict of conflicts(settings.values, context)) report.problem(origin.path, conflict);
}

function conflicts({ retry, cache, resume }: Settings, { headers, durable }: SignedContext): string[] {
  const found: string[] = [];
  // An allow-list removes these headers from every call, because they would be a way around it.
  const removed = headers.remove.filter((name) => !OVERRIDING_HEADERS.includes(name));
  if (headers.set.length > 0 || removed.length > 0)
    found.push(
      'cannot be combined with headers, because signed calls must not be changed; move headers to routes with calls that are not signed',
    );
  if (retry.idempotency_key === 'inject')
    found.push(
      'cannot be combined with retry.idempotency_key: inject, because signed calls must not be changed; write pass',
    );
  if (resume.attempts > 0)
    found.push('cannot be combined with resume, because signed calls must not be changed; write resume: off');
  if (cache.ttl !== null)
    found.push(
      'cannot be combined with cache, because signed calls must not be changed and no two signatures are equal; write cache: off',
    );
  if (durable)
    found.push(
      'cannot be combined with durable, because a signature expires before the last attempt; write durable: off',
    );
  return found;
}
