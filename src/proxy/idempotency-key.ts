import { headerOf } from '../http/headers.ts';
import { isIdempotent } from '../http/methods.ts';
import { ProxyError } from './errors.ts';
import type { Route } from './route.ts';

interface Keyed {
  readonly method: string;
  /** As the upstream will see them; a key that is made is added. */
  readonly headers: string[];
  readonly newId: () => string;
}

/** The key under which a call may be repeated: the client's, or one made here where the route says so. */
export function idempotencyKey(
  { mode, header }: Route['idempotency'],
  { method, headers, newId }: Keyed,
): string | undefined {
  if (mode === 'none' || isIdempotent(method)) return undefined;
  const given = headerOf(headers, header);
  if (given !== undefined && given !== '') return given;
  if (mode === 'pass') return undefined;
  if (mode === 'require') {
    const message = `this route needs the header ${header}: a fresh value per operation, the same on each repeat of it`;
    throw new ProxyError('idempotency_key_required', message);
  }
  if (given === '') {
    const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === header);
    headers.splice(at, 2);
  }
  const made = newId();
  headers.push(header, made);
  return made;
}
