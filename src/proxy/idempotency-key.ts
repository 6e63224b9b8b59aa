import { headerOf, removeFields } from '../http/headers.ts';
import { isIdempotent } from '../http/methods.ts';
import { ProxyError } from './errors.ts';
import type { Route } from './route.ts';

interface Keyed {
  readonly method: string;
  /** As the upstream receives them. A key that is made here is added. */
  readonly headers: string[];
  readonly newId: () => string;
}

/** The usual limit of APIs. The store indexes keys, and not every database can index longer ones. */
const MAX_KEY_BYTES = 255;

/** The client's key; '' if the field is empty. Throws `bad_request` for a key of more than 255 bytes. */
export function keyIn(headers: readonly string[], header: string): string | undefined {
  const key = headerOf(headers, header);
  if (key === undefined || key.length <= MAX_KEY_BYTES) return key;
  throw new ProxyError(
    'bad_request',
    `the header ${header} has ${key.length} bytes; the limit is ${MAX_KEY_BYTES}`,
  );
}

/** The key that makes a call safe to repeat: the client's, or one made here. Throws `idempotency_key_required`. */
export function idempotencyKey(
  { mode, header }: Route['idempotency'],
  { method, headers, newId }: Keyed,
): string | undefined {
  if (mode === 'none' || isIdempotent(method)) return undefined;
  const given = keyIn(headers, header);
  if (given !== undefined && given !== '') return given;
  if (mode === 'pass') return undefined;
  if (mode === 'require') {
    const message = `this route requires the header ${header}: a new value for each operation, the same value for its repeats`;
    throw new ProxyError('idempotency_key_required', message);
  }
  if (given === '') removeFields(headers, [header]);
  const made = newId();
  headers.push(header, made);
  return made;
}
