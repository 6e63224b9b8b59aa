import { headerOf } from '../../http/headers.ts';
import { type Pointer, valuesAt } from '../../http/json-pointer.ts';
import { climbs } from '../../routing/request-path.ts';
import type { StoredResponse } from '../job.ts';
import type { PollPlace } from '../route.ts';
import { jsonOf } from './observe.ts';
import type { PollTarget } from './options.ts';

/** The request whose reply names the URL to poll. */
export interface Submitted {
  readonly upstream: PollPlace;
  /** Where it went: the upstream, or the target that has accepted it. */
  readonly place: PollPlace;
  /** Path and query below the URL of the upstream. */
  readonly target: string;
}

export type Found =
  /** Path and query below the URL of the upstream. */
  { readonly target: string } | { readonly problem: string };

const MAX_TARGET = 4_000;

/** Finds the URL of the result, only on the host that has accepted the request and within its base path, because polls carry credentials. */
export function targetOf(poll: PollTarget, response: StoredResponse, submitted: Submitted): Found {
  if (poll.from === 'path') return fromPath(poll.parts, response, submitted);
  const value = headerOf(response.headers, poll.name)?.trim();
  if (value === undefined || value === '')
    return { problem: `the ${response.status} reply has no ${poll.name} header to poll` };
  return within(value, poll.name, submitted);
}

function fromPath(
  parts: readonly (string | Pointer)[],
  response: StoredResponse,
  submitted: Submitted,
): Found {
  const json = jsonOf(response);
  let path = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      path += part;
      continue;
    }
    const reply = `the ${response.status} reply`;
    const pointer = `/${part.join('/')}`;
    const segment = segmentOf(valuesAt(json, part)[0]);
    if (segment === undefined)
      return { problem: `${reply} has no usable value at ${pointer} for the poll path` };
    // Some servers decode `%2F` before they resolve `..`.
    if (climbs(segment))
      return { problem: `the value at ${pointer} in ${reply} would lead out of the poll path` };
    path += segment;
  }
  return within(submitted.place.basePath + path, 'the poll path', submitted);
}

/** One path segment. Undefined for text that UTF-8 cannot encode (a lone surrogate). */
function segmentOf(value: unknown): string | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined;
  const text = String(value);
  const usable = text !== '' && text !== '.' && text !== '..' && text.isWellFormed();
  return usable ? encodeURIComponent(text) : undefined;
}

/** Resolves a reference against the request's target (RFC 9110 §10.2.2). */
function within(reference: string, name: string, { upstream, place, target }: Submitted): Found {
  const { origin, basePath } = place;
  const sent = basePath + target.slice(upstream.basePath.length);
  const url = reference.length > MAX_TARGET ? null : URL.parse(reference, `${origin}${sent}`);
  if (url === null) return { problem: `${name} is not a valid URL to poll` };
  if (url.origin !== origin)
    return { problem: `${name} points to ${url.origin}, but only the same upstream is polled` };
  const { pathname, search } = url;
  if (pathname !== basePath && !pathname.startsWith(`${basePath}/`))
    return { problem: `${name} points outside the path of the upstream's URL` };
  return { target: upstream.basePath + pathname.slice(basePath.length) + search };
}
