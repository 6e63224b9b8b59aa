import { grpcMessage, grpcNumber } from '../http/grpc.ts';
import { withoutFields } from '../http/headers.ts';
import { factsOf } from '../proxy/error-table.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { Problem } from './problem.ts';

/** An error as gRPC fields: the whole reply (trailers-only), or the trailers of a broken body. `undefined` means a bug. */
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

/** Fields that describe the body of problem details. gRPC has no such body. */
const OF_THE_BODY: ReadonlySet<string> = new Set(['content-type', 'content-length']);

/** A problem in the form of gRPC: HTTP status 200, and the error in the head (trailers-only). */
export function grpcProblem(problem: Problem, error: ProxyError | undefined): Problem {
  const others = withoutFields(problem.headers, (name) => OF_THE_BODY.has(name));
  const headers = ['content-type', 'application/grpc', ...grpcTrailers(error).flat(), ...others];
  return { status: problem.status, sentStatus: 200, headers, body: undefined };
}
