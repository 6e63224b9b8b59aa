import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DurableCall } from '../durable/durable.ts';
import { replyHeaders } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import { ProxyError } from '../proxy/errors.ts';
import { Abort } from '../runtime/abort.ts';
import { checkAccess } from './access.ts';
import { AdminProblem } from './response.ts';

/** The HTTP API of durable requests, as the admin server uses it. */
export interface DurableApi {
  /** Path prefix of the API, without a trailing slash. Undefined without durable routes. */
  readonly prefix: string | undefined;
  /** Rejects with a ProxyError if the store is not open. */
  readonly api: (call: DurableCall) => Promise<Reply>;
}

/** Whether `path` belongs to the API of durable requests. */
export function decideDurablePath(path: string, durable: DurableApi | undefined): durable is DurableApi {
  return durable?.prefix !== undefined && path.startsWith(`${durable.prefix}/`);
}

/**
 * A stored reply must not run as a page of this server, where it could do whatever the operator can. Several policies
 * combine to the strictest (CSP §8.1), so a stored policy does not weaken this one.
 */
const INERT = ['content-security-policy', "sandbox; default-src 'none'", 'x-content-type-options', 'nosniff'];

/** Answers with operator rights, after checking the access. Throws an AdminProblem, or an error because of a bug. */
export async function answerDurable(
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  token: string | undefined,
  { api }: DurableApi,
): Promise<void> {
  checkAccess(req, token);
  const { method = '', url: target = '', rawHeaders: headers } = req;
  const signal = new Abort();
  const gone = () => signal.abort(new ProxyError('client_gone', 'the client disconnected'));
  res.once('close', gone);
  const reply = await asked(api({ method, target, headers, admin: true, signal }));
  if (res.destroyed) return reply.body.discard();
  req.resume();
  const headersOut = reply.origin === 'proxy' ? [...reply.headers] : replyHeaders(reply.headers);
  res.writeHead(reply.status, [...headersOut, ...INERT]);
  reply.body.pipeTo(res);
}

async function asked(reply: Promise<Reply>): Promise<Reply> {
  try {
    return await reply;
  } catch (error) {
    if (error instanceof ProxyError) throw new AdminProblem(503, error.message);
    throw error;
  }
}
