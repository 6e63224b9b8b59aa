import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { type AwsKeys, isS3, PAYLOAD_FIELD, type SigningScope } from './aws.ts';
import { fieldPairs, type RawHeaders, withoutFields } from '../http/headers.ts';

export interface SignedParts {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  readonly host: string;
  readonly headers: RawHeaders;
  /** The body, or the text that `x-amz-content-sha256` states about it. */
  readonly payload: Buffer | string;
}

/** SHA-256 or HMAC of it, as the library wants it. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', keyOf(secret));
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    throw new Error('a hash is used once');
  }
}

/** The bytes of a key, without a copy. */
function keyOf(secret: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof secret === 'string') return secret;
  return ArrayBuffer.isView(secret)
    ? new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength)
    : new Uint8Array(secret);
}

/** Fields that the signature covers, apart from `x-amz-…`. Others may change on their way. */
const COVERED: ReadonlySet<string> = new Set(['content-type', 'content-md5']);

const isCovered = (name: string): boolean => COVERED.has(name) || name.startsWith('x-amz-');

/** The fields of a request signed by AWS Signature Version 4 at `wallMs` (milliseconds since the epoch). */
export async function signedHeaders(
  { method, target, host, headers, payload }: SignedParts,
  { region, service }: SigningScope,
  keys: AwsKeys,
  wallMs: number,
): Promise<RawHeaders> {
  const signer = new SignatureV4({
    region,
    service,
    credentials: keysOf(keys),
    sha256: Sha256,
    uriEscapePath: !isS3(service),
    applyChecksum: false,
  });
  const stated = typeof payload === 'string' ? { [PAYLOAD_FIELD]: payload } : {};
  const { path, query } = partsOf(target);
  const url = { protocol: 'https:', hostname: host, path: isS3(service) ? asS3Encodes(path) : path, query };
  const before = { ...coveredFields(headers), host, ...stated };
  const body = typeof payload === 'string' ? undefined : payload;
  const request = { method, ...url, headers: before, body };
  const signed = await signer.sign(request, { signingDate: new Date(wallMs) });
  const added = Object.entries(signed.headers).filter(([name]) => isAdded(name));
  const names = new Set(added.map(([name]) => name));
  return [...withoutFields(headers, (name) => names.has(name)), ...added.flat()];
}

const keysOf = ({ accessKeyId, secretAccessKey, sessionToken }: AwsKeys) => ({
  accessKeyId,
  secretAccessKey,
  ...(sessionToken !== undefined && { sessionToken }),
});

/** Fields that the signature adds or states. Host is written by the connection. */
const isAdded = (name: string): boolean => name !== 'host' && !COVERED.has(name);

/** Covered fields by name, repeated ones joined (RFC 9110 §5.3). */
function coveredFields(headers: RawHeaders): Record<string, string> {
  const fields = new Map<string, string>();
  for (const [written, value] of fieldPairs(headers)) {
    const name = written.toLowerCase();
    const before = fields.get(name);
    if (isCovered(name)) fields.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(fields);
}

/** The path as S3 encodes the name of an object: all bytes but the unreserved ones and `/` (RFC 3986 §2.3). */
function asS3Encodes(path: string): string {
  try {
    return decodeURIComponent(path)
      .split('/')
      .map((part) => encodeURIComponent(part).replaceAll(/[!'()*]/g, percentEncoded))
      .join('/');
  } catch {
    // It is not UTF-8, and S3 will say so.
    return path;
  }
}

const percentEncoded = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

/** The parameters are decoded, because the signature encodes them in its own way. */
function partsOf(target: string): { path: string; query: Record<string, string | string[]> } {
  const mark = target.indexOf('?');
  if (mark < 0) return { path: target, query: {} };
  const query = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(target.slice(mark + 1)))
    query.set(name, [...(query.get(name) ?? []), value]);
  return { path: target.slice(0, mark), query: Object.fromEntries(query) };
}
