import type { IncomingMessage } from 'node:http';
import { Gathered } from '../http/bodies/gathered.ts';
import { ByteBudget } from '../http/byte-budget.ts';
import { AdminProblem } from './response.ts';

/** Far above any request of the admin API. */
const MAX_BODY_BYTES = 64 * 1024;

/** The request's JSON object; an empty body is an empty object. */
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
  const body = new Gathered(new ByteBudget(MAX_BODY_BYTES));
  // A rest that nobody wants must not be destroyed with the iterator, or the refusal could not be sent.
  for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (body.bytes + chunk.length > MAX_BODY_BYTES) {
      throw new AdminProblem(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);
    }
    body.add(chunk);
  }
  return Buffer.concat(body.chunks()).toString('utf8');
}
