import { type GrpcStatus, grpcMessage, grpcNumber } from '../http/grpc.ts';
import type { ErrorCode, ProxyError } from '../proxy/errors.ts';
import type { Problem } from './problem.ts';

/** Where it is not UNAVAILABLE: what the client may try again, later or elsewhere. */
const STATUSES: Partial<Readonly<Record<ErrorCode, GrpcStatus>>> = {
  client_gone: 'cancelled',
  bad_request: 'internal',
  too_many_fields: 'resource_exhausted',
  request_timeout: 'cancelled',
  route_not_found: 'unimplemented',
  idempotency_key_required: 'invalid_argument',
  idempotency_key_reused: 'invalid_argument',
  idempotency_key_in_use: 'aborted',
  egress_denied: 'permission_denied',
  client_forbidden: 'permission_denied',
  quota: 'resource_exhausted',
  payload_too_large: 'resource_exhausted',
  backlog_full: 'resource_exhausted',
  callback_forbidden: 'permission_denied',
  concurrency_limit: 'resource_exhausted',
  proxy_loop: 'internal',
  address_prohibited: 'permission_denied',
  out_of_sockets: 'resource_exhausted',
  attempt_timeout: 'deadline_exceeded',
  deadline_exceeded: 'deadline_exceeded',
};

/** How gRPC says that a call failed: these fields are its whole answer, or what follows a body that broke off. Undefined is a bug. */
export function grpcTrailers(error: ProxyError | undefined): [name: string, value: string][] {
  const status = error === undefined ? 'internal' : (STATUSES[error.code] ?? 'unavailable');
  const text =
    error === undefined ? 'the proxy failed; its log says more' : `${error.code}: ${error.message}`;
  return [
    ['grpc-status', String(grpcNumber(status))],
    ['grpc-message', grpcMessage(text)],
  ];
}

/** What describes the body of problem details, which gRPC has none of. */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-type', 'content-length']);

/** A problem as gRPC is told it: HTTP is content, and all is in the head (trailers-only). */
export function grpcProblem(problem: Problem, error: ProxyError | undefined): Problem {
  const headers = ['content-type', 'application/grpc', ...grpcTrailers(error).flat()];
  for (let i = 0; i < problem.headers.length; i += 2) {
    const name = problem.headers[i] as string;
    if (!OF_THE_BODY.has(name)) headers.push(name, problem.headers[i + 1] as string);
  }
  return { status: problem.status, sentStatus: 200, headers, body: undefined };
}
