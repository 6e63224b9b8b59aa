import { wholeBody } from '../../http/bodies/request-body.ts';
import { exactJson, isContainer } from '../../http/exact-json.ts';
import { headerOf, withoutFields } from '../../http/headers.ts';
import type { Pointer } from '../../http/json-pointer.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Abort } from '../../runtime/abort.ts';
import { whileWanted } from '../../runtime/while-wanted.ts';
import type { BodyChange } from './options.ts';

/**
 * The call with changed values in its JSON body. A body of another type, one that is compressed, and one that is no JSON object pass
 * unchanged: the API reports what is wrong with them. All other values stay as the client wrote them, numbers included.
 *
 * Rejects with `payload_too_large` if the body is not buffered, with `bad_request` if it is nested too deeply, and with the reason of
 * `signal` as soon as that aborts.
 */
export async function changedBody(call: Call, changes: readonly BodyChange[], signal: Abort): Promise<Call> {
  if (!isPlainJson(call)) return call;
  const chunks = await whileWanted(call.body.whole(), signal);
  if (chunks === undefined)
    throw new ProxyError(
      'payload_too_large',
      'this target changes the JSON body (body.set), and the body is larger than request.max_replay',
    );
  const text = changedText(Buffer.concat(chunks).toString(), changes);
  if (text === undefined) return call;
  const bytes = Buffer.from(text);
  const headers = withoutFields(call.headers, (name) => OF_THE_BYTES.has(name));
  headers.push('content-length', String(bytes.length));
  return { ...call, headers, body: wholeBody([bytes], call.body) };
}

/** Undefined if the text is no JSON object. */
function changedText(text: string, changes: readonly BodyChange[]): string | undefined {
  try {
    const document = exactJson(text);
    if (!isContainer(document)) return undefined;
    for (const [pointer, value] of changes) setAt(document, pointer, value);
    return JSON.stringify(document);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ProxyError(
      'bad_request',
      'this target changes the JSON body (body.set), and the body is nested too deeply for that',
    );
  }
}

/** Fields about the bytes of the body: length, and digests (RFC 9530, and RFC 3230 before). */
const OF_THE_BYTES: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'content-digest',
  'repr-digest',
  'digest',
  'content-md5',
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
    if (!isContainer(below)) below = {};
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
