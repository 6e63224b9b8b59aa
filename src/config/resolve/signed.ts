import { type HeaderRules, OVERRIDING_HEADERS } from '../../http/headers.ts';
import type { Report } from '../read/report.ts';
import type { Settings } from './ground.ts';
import type { Inherited } from './inherit.ts';

/** What of a route stands against passing signed calls on as they are, and seeing their age. */
export interface BesideSigned {
  readonly headers: HeaderRules;
  readonly durable: boolean;
}

/** Reports settings that would change a signed call, or send it when its signature is long past. */
export function checkSigned(settings: Inherited<Settings>, beside: BesideSigned, report: Report): void {
  const origin = settings.origins.get('signed.max_age');
  if (origin === undefined || settings.values.signed.max_age === null) return;
  for (const conflict of conflicts(settings.values, beside)) report.problem(origin.path, conflict);
}

function conflicts({ retry, cache, resume }: Settings, { headers, durable }: BesideSigned): string[] {
  const found: string[] = [];
  // Those an allow-list takes away would be a way around it, signed or not.
  const removed = headers.remove.filter((name) => !OVERRIDING_HEADERS.includes(name));
  if (headers.set.length > 0 || removed.length > 0)
    found.push('signed calls are passed on as they came; write headers for the other routes only');
  if (retry.idempotency_key === 'inject')
    found.push('retry.idempotency_key: inject would add to what is signed; write pass');
  if (resume.attempts > 0) found.push('resume would add to what is signed; write resume: off');
  if (cache.ttl !== null)
    found.push('cache would add to what is signed, and no two signatures are equal; write cache: off');
  if (durable)
    found.push(
      'durable requests outlive their signature; write durable: off, and have the app sign each call',
    );
  return found;
}
