import { CredentialNames, type IdentityOptions, RECOGNISED } from '../../http/credentials.ts';
import type { HeaderRules } from '../../http/headers.ts';
import type { StrangerRules } from '../../server/strangers.ts';
import type { Config, RouteConfig, UpstreamConfig } from '../config.ts';
import type { Settings } from './ground.ts';
import type { Inherited } from './inherit.ts';

/** The names that a route adds. Those of `quota.credential_headers` are secrets everywhere, unless they are known as accounts. */
export function identityOptions({ identity, quota }: Settings): IdentityOptions {
  const secrets = lowerCase(identity.secret_names);
  const accounts = lowerCase(identity.account_names);
  const ignored = lowerCase(identity.ignored_names);
  const known = (name: string) => RECOGNISED.isIdentity(name) || accounts.includes(name);
  const more = lowerCase(quota.credential_headers).filter((name) => !known(name));
  return { secretNames: [...secrets, ...more], accountNames: accounts, ignoredNames: ignored };
}

/**
 * Where a route injects a credential, the upstream counts the call against that one. A credential that the client
 * made up must not bring it a fresh quota, so only injected fields count, unless the file itself names others.
 */
export function countInjected({ values, origins }: Inherited<Settings>, { set }: HeaderRules): void {
  const layer = origins.get('quota.credential_headers')?.layer;
  const isWritten = layer?.name !== undefined && layer.told === undefined;
  const injected = injectedSecrets({ set }, new CredentialNames(identityOptions(values)));
  if (isWritten || injected.length === 0) return;
  const names = lowerCase(set.map(([name]) => name));
  const counted = lowerCase(values.quota.credential_headers).filter((name) => names.includes(name));
  values.quota.credential_headers = [...new Set([...counted, ...injected])];
}

/** Names, in lower case, of the credentials that header rules put into each call. */
export function injectedSecrets({ set }: Pick<HeaderRules, 'set'>, names: CredentialNames): string[] {
  return lowerCase(set.map(([name]) => name).filter((name) => names.isSecret(name)));
}

/**
 * What a route adds to its calls that opens something at the upstream, or at the one that stands in for it: for people.
 * Empty: a caller gets no more by it than it has itself.
 */
export function addedCredentials(
  route: RouteConfig,
  upstream: UpstreamConfig,
  upstreams: readonly UpstreamConfig[],
): string[] {
  const { fallback } = route.settings;
  const to = fallback !== undefined && 'upstream' in fallback.to ? fallback.to : undefined;
  const other = upstreams.find(({ name }) => name === to?.upstream);
  const there = other?.routes.flatMap((standIn) => ownCredentials(standIn, other)) ?? [];
  const forOther = to === undefined ? [] : injectedSecrets(to.headers, namesOf(route));
  return [...new Set([...ownCredentials(route, upstream), ...forOther, ...there])];
}

function ownCredentials(route: RouteConfig, { basePath, connection, privatePath }: UpstreamConfig): string[] {
  return [
    ...injectedSecrets(route.headers, namesOf(route)),
    ...(privatePath && basePath !== '' ? ['the path of url'] : []),
    ...(connection.tls.key === undefined ? [] : ['a client certificate']),
  ];
}

const namesOf = ({ settings }: RouteConfig): CredentialNames => new CredentialNames(settings.identity);

/** Who may use the routes of an upstream that add a credential. SDKs may keep the upstream's own host as theirs. */
export function strangerRules(
  { clients, upstreams }: Pick<Config, 'clients' | 'upstreams'>,
  upstream: UpstreamConfig,
): StrangerRules {
  const mounts = upstreams.flatMap(({ mount }) => ('host' in mount ? mount.host : []));
  const own = new URL(upstream.origin).hostname;
  const hosts = clients.hosts && [...new Set([...clients.hosts, ...mounts, own])];
  return { browsers: clients.browsers, hosts };
}

const lowerCase = (names: readonly string[]): string[] => names.map((name) => name.toLowerCase());
