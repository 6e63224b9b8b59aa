import { createServer, type IncomingMessage, request as send, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import S3rver from 's3rver';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { expectedAuthorization, statesItsBody } from '../support/sigv4-check.ts';

/** The keys that it accepts. */
export const S3_KEYS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };

export interface S3Server {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * An S3-compatible server with one bucket. s3rver does not verify signatures of version 4, so a gate before it does. `port`: that
 * of a server before.
 */
export async function startS3(bucket: string, port = 0): Promise<S3Server> {
  const directory = join(temporaryFolder(), 's3');
  const options = { address: '127.0.0.1', port: 0, silent: true, directory };
  const s3 = new S3rver({ ...options, configureBuckets: [{ name: bucket }] });
  const behind = await s3.run();
  const gate = createServer((request, response) => void pass(request, response, behind.port));
  await new Promise<void>((resolve) => gate.listen(port, '127.0.0.1', resolve));
  const address = gate.address() as AddressInfo;
  let stopped: Promise<unknown> | undefined;
  const stop = async () => {
    gate.closeAllConnections();
    stopped ??= Promise.all([new Promise((resolve) => gate.close(resolve)), s3.close()]);
    await stopped;
  };
  onTestFinished(stop);
  return { url: `http://127.0.0.1:${address.port}`, port: address.port, stop };
}

async function pass(request: IncomingMessage, response: ServerResponse, port: number): Promise<void> {
  const body = Buffer.concat(await request.toArray());
  const { method, url: path, headers } = request;
  const scope = { service: 's3', region: 'eu-central-1' };
  const expected = expectedAuthorization(request, body, scope, S3_KEYS);
  if (headers.authorization !== expected || !statesItsBody(request, body))
    return void response.writeHead(403).end('<Error><Code>SignatureDoesNotMatch</Code></Error>');
  const forwarded = send({ host: '127.0.0.1', port, method, path, headers }, (reply) => {
    response.writeHead(reply.statusCode ?? 0, reply.headers);
    reply.pipe(response);
  });
  forwarded.end(body);
}
