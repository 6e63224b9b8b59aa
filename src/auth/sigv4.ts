import { createHash } from 'node:crypto';
import type { RequestBody } from '../http/bodies/request-body.ts';
import { headerOf } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import type { Call } from '../proxy/call.ts';
import type { AuthorizedRequest, Credential, LeavingAttempt } from '../proxy/credential.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import { type AwsKeys, isS3, PAYLOAD_FIELD, type SigningScope } from './aws.ts';
import { whileWanted } from '../runtime/while-wanted.ts';

export interface Sigv4Deps extends SigningScope {
  readonly clock: Clock;
  /** Host and port of the upstream, as its requests name them. */
  readonly host: string;
  /** The keys that are valid now. Rejects with `auth_failed`. */
  readonly keys: () => AwsKeys | Promise<AwsKeys>;
  /** After a refusal: true if there are other keys than those. Undefined: the keys never change. */
  readonly renew?: (isRefused: (keys: AwsKeys) => boolean, signal: Abort) => Promise<boolean>;
}

/**
 * AWS Signature Version 4, of each attempt at the time when it leaves. The signature covers the body: its hash, so the body must be
 * buffered; S3 accepts `UNSIGNED-PAYLOAD` for a body that is still arriving.
 */
export function sigv4Credential(deps: Sigv4Deps): Credential {
  const { renew } = deps;
  return {
    authorize: (call, attempt) => whileWanted(authorized(call, attempt, deps), attempt.signal),
    ready: (call, signal) => ready(call, signal, deps),
    renewal: renew && {
      refused: isRefusal,
      renew: (used, signal) => renew((keys) => isSignedBy(keys, used), signal),
    },
  };
}

/** Names of errors that refuse the keys themselves, as JSON services send them with 400 or 403. */
const REFUSED_KEYS = /^(?:ExpiredToken|UnrecognizedClient|InvalidClientTokenId|InvalidToken)/;

/** S3 names its error in the body, which is not read: each 403 may be about the keys. */
function isRefusal({ status, headers }: Pick<Reply, 'status' | 'headers'>): boolean {
  if (status === 401 || status === 403) return true;
  return status === 400 && REFUSED_KEYS.test(headerOf(headers, 'x-amzn-errortype') ?? '');
}

function isSignedBy({ accessKeyId }: AwsKeys, { headers }: AuthorizedRequest): boolean {
  return headerOf(headers, 'authorization')?.includes(`Credential=${accessKeyId}/`) === true;
}

/** Waits for the keys and the body before the attempt waits for its turn, so that it holds no permit meanwhile. */
function ready({ body }: Call, signal: Abort, { keys, service }: Sigv4Deps): Promise<unknown> | undefined {
  const found = keys();
  const whole = body.arriving && !isS3(service) ? body.whole() : undefined;
  const waits = [found, whole].filter((wait) => wait instanceof Promise);
  return waits.length === 0 ? undefined : whileWanted(Promise.all(waits), signal);
}

/** The library is loaded with the first call. */
async function authorized(
  call: Call,
  attempt: LeavingAttempt,
  { clock, host, keys, region, service }: Sigv4Deps,
): Promise<AuthorizedRequest> {
  const { method, target, headers } = call;
  const payload = await payloadOf(call, attempt.bodyOf(call), service);
  const [{ signedHeaders }, found] = await Promise.all([import('./sign.ts'), keys()]);
  const parts = { method, target, host, headers, payload };
  return { target, headers: await signedHeaders(parts, { region, service }, found, clock.wallTime()) };
}

async function payloadOf(call: Call, body: RequestBody, service: string): Promise<Buffer | string> {
  const stated = headerOf(call.headers, PAYLOAD_FIELD) ?? '';
  if (stated.startsWith(CHUNK_SIGNATURES)) throw chunkSignatures();
  if (!isS3(service)) return wholeOf(body);
  if (stated.startsWith(UNSIGNED_CHUNKS)) return stated;
  const chunks = body.arriving || !body.replayable ? undefined : await body.whole();
  return chunks === undefined ? 'UNSIGNED-PAYLOAD' : hashOf(chunks);
}

/** The words by which SDKs announce a body in signed or unsigned chunks. */
const CHUNK_SIGNATURES = 'STREAMING-AWS4-';
const UNSIGNED_CHUNKS = 'STREAMING-UNSIGNED-';

async function wholeOf(body: RequestBody): Promise<Buffer> {
  const chunks = await body.whole();
  if (chunks === undefined) throw notBuffered();
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

function hashOf(chunks: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

function chunkSignatures(): ProxyError {
  const message =
    'the client signs the chunks of its body with its own key, which the proxy replaces; let the SDK send an unsigned payload';
  return new ProxyError('bad_request', message);
}

function notBuffered(): ProxyError {
  const message =
    'the signature of this service covers the body, which is larger than request.max_replay, or body_memory is used up';
  return new ProxyError('payload_too_large', message);
}
