import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import aws4 from 'aws4';

type Received = Pick<IncomingMessage, 'url' | 'method' | 'headers'>;

/** The Authorization that another implementation (aws4) makes for a received request, with the fields that it says it covers. */
export function expectedAuthorization(
  { url = '', method = '', headers }: Received,
  body: Buffer,
  scope: { readonly service: string; readonly region: string },
  keys: { readonly accessKeyId: string; readonly secretAccessKey: string },
): string | undefined {
  const names = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1]?.split(';') ?? [];
  const covered = Object.fromEntries(names.map((name) => [name, String(headers[name])]));
  const request = { ...scope, method, path: url, body, headers: covered };
  const options = { ...request, doNotModifyHeaders: true } as Parameters<typeof aws4.sign>[0];
  const signer = new aws4.RequestSigner(options, keys);
  signer.datetime = String(headers['x-amz-date']);
  return signer.sign().headers?.['Authorization'] as string;
}

/** Whether the hash that a request to S3 states is that of its body. An unsigned payload states none. */
export function statesItsBody({ headers }: Received, body: Buffer): boolean {
  const stated = headers['x-amz-content-sha256'];
  return stated === 'UNSIGNED-PAYLOAD' || stated === createHash('sha256').update(body).digest('hex');
}
