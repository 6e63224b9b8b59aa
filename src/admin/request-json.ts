import type { IncomingMessage } from 'node:http';
import { BodyBuffer } from '../http/bodies/body-buffer.ts';
import { ByteBudget } from '../http/byte-budget.ts';
import { AdminProblem } from './response.ts';

/** Far above any request to the admin API. */
const MAX_BODY_BYTES = 64 * 1024;

/** Reads the request's JSON object. An empty body is an empty object. Throws an AdminProblem. */
export async function requestJson(req: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const body = await readBody(req);
  if (body === '') return {};
  const value = parse(body);
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new AdminProblem(400, 'the body must be a JSON object');
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new AdminProblem(400, 'the body is not JSON');
  }
}

async function readBody(req: IncomingMessage): Promise<string> {
  const body = new BodyBuffer(new ByteBudget(MAX_BODY_BYTES));
  // The iterator must not destroy the request when it stops early, or the error could not be sent.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (body.bytes + chunk.length > MAX_BODY_BYTES) {
      throw new AdminProblem(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);
    }
    body.add(chunk);
  }
  return Buffer.concat(body.chunks()).toString('utf8');
}
