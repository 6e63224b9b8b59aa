import { headerOf } from '../http/headers.ts';
import type { AuthorizedRequest, Credential } from '../proxy/credential.ts';
import { withAuthorization } from './authorization.ts';
import type { ExpiringSecret, Issue } from './expiring-secret.ts';
import { whileWanted } from '../runtime/while-wanted.ts';

/** The `Authorization` of an access token (RFC 6750 §2.1). `token` outlives a reload; `issue` is of this configuration. */
export function tokenCredential(token: ExpiringSecret<string>, issue: Issue<string>): Credential {
  return {
    authorize(call, { signal }) {
      const found = token.get(issue);
      if (typeof found === 'string') return withAuthorization(call, found);
      return whileWanted(found, signal).then((value) => withAuthorization(call, value));
    },
    ready(_call, signal) {
      const found = token.get(issue);
      return typeof found === 'string' ? undefined : whileWanted(found, signal);
    },
    renewal: {
      refused: ({ status, classification }) =>
        status === 401 || classification?.kind === 'credential_refused',
      renew: (used, signal) => token.renew((value) => value === valueOf(used), issue, signal),
    },
  };
}

const valueOf = ({ headers }: AuthorizedRequest): string => headerOf(headers, 'authorization') ?? '';
