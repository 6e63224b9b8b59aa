import { grpcMessage, grpcNumber } from '../http/grpc.ts';
import { withoutFields } from '../http/headers.ts';
import { factsOf } from '../proxy/error-table.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { Problem } from './problem.ts';

/** How gRPC says that a call failed: these fields are its whole answer, or what follows a body that broke off. Undefined is a bug. */
export function grpcTrailers(error: ProxyError | undefined): [name: string, value: string][] {
  const status = error === undefined ? 'internal' : factsOf(error.code).grpc;
  const text =
    error === undefined
      ? 'an internal error occurred; the log of the proxy has the details'
      : `${error.code}: ${error.message}`;
  return [
    ['grpc-status', String(grpcNumber(status))],
    ['grpc-message', grpcMessage(text)],
  ];
}

/** What describes the body of problem details, which gRPC has none of. */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-type', 'content-length']);

/** A problem as gRPC is told it: HTTP is content, and all is in the head (trailers-only). */
export function grpcProblem(problem: Problem, error: ProxyError | undefined): Problem {
  const others = withoutFields(problem.headers, (name) => OF_THE_BODY.has(name));
  const headers = ['content-type', 'application/grpc', ...grpcTrailers(error).flat(), ...others];
  return { status: problem.status, sentStatus: 200, headers, body: undefined };
}
