import { withoutParameters } from '../../http/credentials.ts';
import { type RawHeaders, withoutFields } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';
import type { Abort } from '../../runtime/abort.ts';
import { changedBody } from './body.ts';
import type { BodyChange } from './options.ts';

/** How a target differs from its upstream. */
export interface Preparation {
  /** Paths of the two URLs. */
  readonly from: string;
  readonly to: string;
  /** Lower-case names of fields that are removed, and the fields that are added. */
  readonly headers: { readonly drop: ReadonlySet<string>; readonly add: RawHeaders };
  /** Names of query parameters that the target adds itself. */
  readonly parameters: ReadonlySet<string>;
  readonly body: readonly BodyChange[];
}

/** The call as a target gets it. Rejects with a ProxyError if its body cannot be changed, or `signal` aborts. */
export function prepared(
  call: Call,
  { from, to, headers, parameters, body }: Preparation,
  signal: Abort,
): Call | Promise<Call> {
  const path = from === to ? call.target : to + call.target.slice(from.length);
  const target = parameters.size === 0 ? path : withoutParameters(path, parameters);
  const there = { ...call, target, headers: headersFor(call, headers) };
  return body.length === 0 ? there : changedBody(there, body, signal);
}

function headersFor({ headers }: Call, { drop, add }: Preparation['headers']): Call['headers'] {
  const own = withoutFields(headers, (name) => drop.has(name));
  return add.length === 0 && own.length === headers.length ? headers : [...own, ...add];
}
