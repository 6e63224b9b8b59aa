import type { AuthOptions } from '../../auth/options.ts';
import { CredentialNames, type IdentityOptions, RECOGNISED } from '../../http/credentials.ts';
import { hostPattern } from '../../http/host-template.ts';
import type { HeaderRules } from '../../http/headers.ts';
import type { ClientAccessRules } from '../../server/client-access.ts';
import type { Config, RouteConfig, UpstreamConfig } from '../config.ts';
import type { Settings } from './context.ts';
import { type Inherited, replace } from './inherit.ts';

/** Names that identify callers of a route. Those in `quota.credential_headers` count as secrets, unless they are known as accounts. */
export function identityOptions({ identity, quota }: Settings): IdentityOptions {
  const secrets = lowerCase(identity.secret_names);
  const accounts = lowerCase(identity.account_names);
  const ignored = lowerCase(identity.ignored_names);
  const known = (name: string) => RECOGNISED.isIdentity(name) || accounts.includes(name);
  const more = lowerCase(quota.credential_headers).filter((name) => !known(name));
  return { secretNames: [...secrets, ...more], accountNames: accounts, ignoredNames: ignored };
}

/** Header rules and credential that a route adds to its calls. */
interface Injected {
  readonly headers: HeaderRules;
  readonly auth: AuthOptions | undefined;
}

/**
 * If a route injects a credential, the upstream counts calls by that one. A credential that the client invented must not
 * give it a new quota. So only injected fields count, unless the file names others.
 */
export function countInjected(inherited: Inherited<Settings>, { headers: { set }, auth }: Injected): void {
  const { values, origins } = inherited;
  const layer = origins.get('quota.credential_headers')?.layer;
  const isWritten = layer?.name !== undefined && layer.describe === undefined;
  const injected = injectedSecrets({ set }, new CredentialNames(identityOptions(values)));
  if (isWritten || (injected.length === 0 && auth === undefined)) return;
  const names = lowerCase(set.map(([name]) => name));
  const counted = lowerCase(values.quota.credential_headers).filter((name) => names.includes(name));
  replace(inherited, 'quota.credential_headers', [...new Set([...counted, ...injected])]);
}

/** Lower-case names of the credentials that header rules add to each call. */
export function injectedSecrets({ set }: Pick<HeaderRules, 'set'>, names: CredentialNames): string[] {
  return lowerCase(set.map(([name]) => name).filter((name) => names.isSecret(name)));
}

/**
 * Credentials that a route adds to its calls, for its upstream or its fallback upstreams, as texts for people. Empty: the
 * route gives a caller no access that it does not have itself.
 */
export function addedCredentials(
  route: RouteConfig,
  upstream: UpstreamConfig,
  upstreams: readonly UpstreamConfig[],
): string[] {
  const forOthers = route.settings.fallback?.upstreams.flatMap((to) => {
    const other = upstreams.find(({ name }) => name === to.upstream);
    const there = other?.routes.flatMap((standIn) => credentialsOf(standIn, other)) ?? [];
    return [...injectedSecrets(to.headers, namesOf(route)), ...there];
  });
  return [...new Set([...credentialsOf(route, upstream), ...(forOthers ?? [])])];
}

/** Of a route, and of the same route at each target. */
function credentialsOf(route: RouteConfig, upstream: UpstreamConfig): string[] {
  const { routes, targets = [] } = upstream;
  const index = routes.indexOf(route);
  const atTargets = targets.flatMap((target) => ownCredentials(target.routes[index] ?? route, target));
  return [...ownCredentials(route, upstream), ...atTargets];
}

function ownCredentials(
  route: RouteConfig,
  { basePath, connection, privatePath }: Pick<UpstreamConfig, 'basePath' | 'connection' | 'privatePath'>,
): string[] {
  return [
    ...injectedSecrets(route.headers, namesOf(route)),
    ...(route.settings.auth === undefined ? [] : [`auth.${route.settings.auth.kind}`]),
    ...(privatePath && basePath !== '' ? ['the path of url'] : []),
    ...(connection.tls.key === undefined ? [] : ['a client certificate']),
  ];
}

const namesOf = ({ settings }: RouteConfig): CredentialNames => new CredentialNames(settings.identity);

/** Which clients may use routes that add a credential, whatever the upstream. */
export function knownClients({
  clients,
  upstreams,
}: Pick<Config, 'clients' | 'upstreams'>): ClientAccessRules {
  const mounts = upstreams.flatMap(({ mount }) => ('host' in mount ? hostPattern(mount.host) : []));
  return { browsers: clients.browsers, hosts: clients.hosts && [...clients.hosts, ...mounts] };
}

/** The same for one upstream: SDKs may send its own name as Host. */
export function clientAccessRules(
  { browsers, hosts }: ClientAccessRules,
  upstream: Pick<UpstreamConfig, 'origin'>,
): ClientAccessRules {
  const own = hostPattern(new URL(upstream.origin).hostname);
  return { browsers, hosts: hosts && [...new Set([...hosts, own])] };
}

const lowerCase = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());
