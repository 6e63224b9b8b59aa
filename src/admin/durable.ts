import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DurableCall } from '../durable/durable.ts';
import { replyHeaders } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import { ProxyError } from '../proxy/errors.ts';
import { Abort } from '../runtime/abort.ts';
import { checkAccess } from './guard.ts';
import { AdminProblem } from './response.ts';

/** The durable requests' HTTP interface, as the admin server passes calls on to it. */
export interface DurableApi {
  /** Path of its own, without a trailing slash; undefined where no route is durable. */
  readonly prefix: string | undefined;
  /** Rejects with a ProxyError where there is no store. */
  readonly api: (call: DurableCall) => Promise<Reply>;
}

/** Whether `path` is the interface's to answer. */
export function decideDurablePath(path: string, durable: DurableApi | undefined): durable is DurableApi {
  return durable?.prefix !== undefined && path.startsWith(`${durable.prefix}/`);
}

/**
 * What an upstream once answered must not become a page of this server in an operator's browser: it would be free to do
 * whatever the operator can. Further policies only restrict further (CSP §8.1), so that a stored one does not matter.
 */
const INERT = ['content-security-policy', "sandbox; default-src 'none'", 'x-content-type-options', 'nosniff'];

/** Answers as an operator's call: whoever comes in here may look at everything. Throws an AdminProblem or a bug. */
export async function answerDurable(
  { req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse },
  token: string | undefined,
  { api }: DurableApi,
): Promise<void> {
  checkAccess(req, token);
  const { method = '', url: target = '', rawHeaders: headers } = req;
  const signal = new Abort();
  const gone = () => signal.abort(new ProxyError('client_gone', 'the client went away'));
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
