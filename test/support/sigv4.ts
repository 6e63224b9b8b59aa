import { createHash, createHmac } from 'node:crypto';
import type { OriginExchange, Step } from './origin.ts';

/** A request as a server sees it. */
export interface SignedRequest {
  readonly method: string;
  readonly target: string;
  /** In lower case, one value each. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
}

/** Recomputes the AWS SigV4 signature of a received request. True if the request is the signed one. */
export function isSigned(request: SignedRequest, secret: string): boolean {
  const authorization = request.headers['authorization'] ?? '';
  const [, credential = '', names = '', signature] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      authorization,
    ) ?? [];
  const [, ...scope] = credential.split('/');
  const [day = '', region = '', service = ''] = scope;
  const canonical = canonicalRequest(request, names, service);
  const text = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope.join('/'), sha256(canonical)].join(
    '\n',
  );
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, text).toString('hex') === signature && bodyFits(request);
}

function canonicalRequest(
  { method, target, headers, body }: SignedRequest,
  names: string,
  service: string,
): string {
  const [path = '', query = ''] = target.split(/\?(.*)/s, 2);
  const fields = names
    .split(';')
    .map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`);
  const digest = headers['x-amz-content-sha256'] ?? sha256(body);
  return [method, canonicalPath(path, service), canonicalQuery(query), fields.join(''), names, digest].join(
    '\n',
  );
}

/** All services but S3 encode the path a second time. */
const canonicalPath = (path: string, service: string): string =>
  path
    .split('/')
    .map((part) => encode(service === 's3' ? decodeURIComponent(part) : part))
    .join('/');

const canonicalQuery = (query: string): string =>
  [...new URLSearchParams(query)]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join('&');

/** The body is covered by the hash in the field, unless the client says that it is not. */
function bodyFits({ headers, body }: SignedRequest): boolean {
  const hash = headers['x-amz-content-sha256'];
  return hash === undefined || /^[A-Z]/.test(hash) || hash === sha256(body);
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** An API of AWS: 403 `SignatureDoesNotMatch` if the signature is wrong, else the given reply. */
export const verifying =
  (secret: string, code: number, reply = '{}'): Step =>
  async ({ request, response, body }: OriginExchange) => {
    const { method = '', url: target = '' } = request;
    const headers = request.headers as Record<string, string>;
    const fits = isSigned({ method, target, headers, body: await body() }, secret);
    const answer = fits ? reply : '{"__type":"SignatureDoesNotMatch"}';
    response.writeHead(fits ? code : 403, { 'content-type': 'application/x-amz-json-1.0' }).end(answer);
  };
