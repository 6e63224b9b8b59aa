import { withoutFields } from '../http/headers.ts';
import type { AuthorizedRequest } from '../proxy/credential.ts';

/** The request with this `Authorization` in place of any other. */
export function withAuthorization({ target, headers }: AuthorizedRequest, value: string): AuthorizedRequest {
  const others = withoutFields(headers, (name) => name === 'authorization');
  return { target, headers: [...others, 'authorization', value] };
}
