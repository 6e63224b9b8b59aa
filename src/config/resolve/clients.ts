import { isLoopback } from '../../http/private-address.ts';
import type { Address, ClientOptions, ClientToken } from '../../server/options.ts';
import type { Config, UpstreamConfig } from '../config.ts';
import { didYouMean } from '../fields/did-you-mean.ts';
import type { ClientsInput } from '../keys/clients.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { SHORTEST_TOKEN } from './addresses.ts';
import { addedCredentials } from './identity.ts';
import type { Complete } from './inherit.ts';

/** Each client is a value of metric labels and a lane in the queues. */
const MOST_CLIENTS = 200;

type TokenInput = NonNullable<ClientsInput['tokens']>[number];

export function clientOptions(
  values: Complete<ClientsInput>,
  listen: Address,
  report: Report,
): ClientOptions {
  return {
    tokens: clientTokens((values.tokens as readonly TokenInput[] | undefined) ?? [], report),
    headTimeoutMs: values.head_timeout,
    bodyTimeoutMs: values.body_timeout,
    minBytesPerSecond: values.min_rate,
    sendTimeoutMs: values.send_timeout,
    http2: values.http2,
    maxConnections: values.max_connections,
    browsers: values.browsers === 'allow',
    hosts: knownHosts(values.allowed_hosts, listen.host),
  };
}

/** Undefined: any name. In a network names may be anything; on loopback a foreign name comes from a web page by DNS rebinding. */
function knownHosts(written: readonly string[] | null | undefined, listen: string): string[] | undefined {
  if (written === null || written === undefined) return isLoopback(listen) ? [] : undefined;
  return written.map((name) => name.toLowerCase());
}

const TOKENS: Path = ['clients', 'tokens'];

function clientTokens(written: readonly TokenInput[], report: Report): ClientToken[] {
  if (written.length > MOST_CLIENTS)
    report.problem(TOKENS, `has more than ${MOST_CLIENTS} clients; give several apps one token`, 'key');
  const names = new Map<string, number>();
  const secrets = new Map<string, string>();
  return written.map((input, index) => {
    const { name = '', token = [], priority = 'normal', quota, allow } = input;
    const place = [...TOKENS, index];
    required(input, place, report);
    if (names.has(name) && name !== '')
      report.problem(
        [...place, 'name'],
        `"${name}" is a client already; write its tokens as a list, token: [new, old]`,
      );
    names.set(name, index);
    for (const [at, secret] of token.entries()) checkToken(secret, [...place, 'token', at], secrets, report);
    return { name, token, priority, quotaShare: quota ?? undefined, allow };
  });
}

function required({ name, token }: TokenInput, place: Path, report: Report): void {
  if (name === undefined && !report.knows([...place, 'name']))
    report.problem([...place, 'name'], 'is missing; write for example name: web', 'key');
  if ((token ?? []).length === 0 && !report.knows([...place, 'token']))
    report.problem([...place, 'token'], 'is missing; write for example token: "${WEB_TOKEN}"', 'key');
}

/** Two clients with one token could not be distinguished. */
function checkToken(secret: string, path: Path, known: Map<string, string>, report: Report): void {
  const where = path.slice(0, -1);
  if (secret.length < SHORTEST_TOKEN)
    report.problem(
      where,
      `has fewer than ${SHORTEST_TOKEN} characters; write a longer token, made for example by: openssl rand -hex 16`,
    );
  const first = known.get(secret);
  if (first !== undefined) report.problem(where, `is also the token at ${first}; write another one`);
  known.set(secret, report.line(where));
}

/** Checks the clients against the upstreams. */
export function checkClients(
  { clients, listen }: Pick<Config, 'clients' | 'listen'>,
  upstreams: readonly UpstreamConfig[],
  report: Report,
): void {
  const names = upstreams.map(({ name }) => name);
  for (const [index, { allow = [] }] of clients.tokens.entries()) {
    for (const unknown of allow.filter((name) => !names.includes(name))) {
      const meant = didYouMean(unknown, names);
      const hint = meant === undefined ? `write one of ${names.join(', ')}` : `did you mean "${meant}"?`;
      report.problem([...TOKENS, index, 'allow'], `"${unknown}" is not an upstream; ${hint}`);
    }
  }
  if (clients.tokens.length === 0) warnOfOpenCredentials(listen, upstreams, report);
}

/** Every client that reaches the port can use the credentials that routes add. */
function warnOfOpenCredentials(
  { host }: Address,
  upstreams: readonly UpstreamConfig[],
  report: Report,
): void {
  if (isLoopback(host)) return;
  const adding = upstreams.filter((upstream) =>
    upstream.routes.some((route) => addedCredentials(route, upstream, upstreams).length > 0),
  );
  if (adding.length === 0) return;
  const names = adding.map(({ name }) => name).join(', ');
  report.warning(
    ['listen'],
    `${host} can be reached from other machines, and the routes of ${names} add a credential, so every client that reaches the port can use it; set clients.tokens, listen on 127.0.0.1, or let only your apps reach the port`,
  );
}
