import { wholeBody } from '../../http/bodies/request-body.ts';
import { parsedJson } from '../../http/document.ts';
import { headerOf, withoutFields } from '../../http/headers.ts';
import type { Pointer } from '../../http/json-pointer.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { BodyChange } from './options.ts';

/**
 * The call with changed values in its JSON body. A body of another type, one that is compressed, and one that is no JSON object pass
 * unchanged: the API reports what is wrong with them. Rejects with `payload_too_large` if the body is not buffered.
 */
export async function changedBody(call: Call, changes: readonly BodyChange[]): Promise<Call> {
  if (!isPlainJson(call)) return call;
  const chunks = await call.body.whole();
  if (chunks === undefined)
    throw new ProxyError(
      'payload_too_large',
      'this target changes the JSON body (body.set), and the body is larger than request.max_replay',
    );
  const document = parsedJson(Buffer.concat(chunks).toString());
  if (typeof document !== 'object' || document === null) return call;
  for (const [pointer, value] of changes) setAt(document, pointer, value);
  const bytes = Buffer.from(JSON.stringify(document));
  const headers = withoutFields(call.headers, (name) => LENGTHS.has(name));
  headers.push('content-length', String(bytes.length));
  return { ...call, headers, body: wholeBody([bytes], call.body) };
}

const LENGTHS: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'content-md5',
  'digest',
]);

function isPlainJson({ headers }: Pick<Call, 'headers'>): boolean {
  if (headerOf(headers, 'content-encoding') !== undefined) return false;
  return headerOf(headers, 'content-type')?.toLowerCase().includes('json') === true;
}

/** Replaces the value at a pointer. Objects on the way are created, and lists are not extended. */
function setAt(document: object, pointer: Pointer, value: unknown): void {
  let at = document as Record<string, unknown>;
  for (const token of pointer.slice(0, -1)) {
    let below = own(at, token);
    if (typeof below !== 'object' || below === null) below = {};
    put(at, token, below);
    at = below as Record<string, unknown>;
  }
  put(at, pointer.at(-1) as string, value);
}

const own = (at: object, token: string): unknown =>
  Object.hasOwn(at, token) ? (at as Record<string, unknown>)[token] : undefined;

/** By definition and not by assignment, because `__proto__` is a name like others in JSON. */
function put(at: object, token: string, value: unknown): void {
  if (Array.isArray(at) && !(token in at)) return;
  Object.defineProperty(at, token, { value, writable: true, enumerable: true, configurable: true });
}
