import type { EgressProxy } from '../../proxy/connection-options.ts';
import { isOff } from '../fields/fields.ts';

type Env = Readonly<Record<string, string | undefined>>;

export type FoundProxy = { readonly proxy: EgressProxy | undefined } | { readonly problem: string };

/** The proxy to use for `origin`. `written`: `off`, `env` or a URL. Problems do not quote it: it may contain a password. */
export function egressProxy(written: string, origin: string, env: Env): FoundProxy {
  if (isOff(written)) return { proxy: undefined };
  if (written !== 'env') return writtenProxy(written);
  const { protocol, hostname, port } = new URL(origin);
  const names = protocol === 'https:' ? ['https_proxy', 'all_proxy'] : ['http_proxy', 'all_proxy'];
  const name = names.flatMap((lower) => [lower, lower.toUpperCase()]).find((one) => env[one]);
  const exceptions = env['no_proxy'] ?? env['NO_PROXY'] ?? '';
  const given = port || (protocol === 'https:' ? '443' : '80');
  if (name === undefined || isException(hostname, given, exceptions)) return { proxy: undefined };
  return proxyOf(env[name] as string, `environment variable ${name} `);
}

/** `http://proxy.corp:3128`, without credentials. */
export function shownProxy(proxy: EgressProxy | undefined): string {
  return proxy === undefined ? 'none' : `${proxy.protocol}//${bracketed(proxy.hostname)}:${proxy.port}`;
}

/** The URL in the file, without user and password. */
export const shownProxyUrl = (written: string): string =>
  written.replace(/^([a-z]+:\/\/)?[^/]*@/i, '$1[redacted]@');

/** A single word is probably a mistake (`on`), not a host. */
const SCHEME_OR_PORT = /:\/\/|:\d+\/?$/;

const writtenProxy = (written: string): FoundProxy =>
  SCHEME_OR_PORT.test(written) ? proxyOf(written, '') : notAProxy('');

const notAProxy = (subject: string): FoundProxy => ({
  problem: `${subject}is not a proxy; write off, env or http://host:port`,
});

function proxyOf(written: string, subject: string): FoundProxy {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(written) ? written : `http://${written}`);
  if (url === null || url.hostname === '') return notAProxy(subject);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return {
      problem: `${subject}has the scheme ${url.protocol}//, which is not supported; write http:// or https://`,
    };
  const { protocol, hostname, username, password, port } = url;
  const credentials = decoded(`${username}:${password}`);
  if (credentials === undefined)
    return { problem: `${subject}has a "%" in user or password that is not encoded; write %25` };
  const proxy: EgressProxy = {
    protocol,
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (protocol === 'https:' ? 443 : 80)),
    authorization: username === '' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
  return { proxy };
}

/** Undefined if a percent sign is not followed by two hexadecimal digits, or the bytes are not UTF-8. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Reads NO_PROXY as curl does: names include all names below them, a leading dot or `*.` changes nothing, a port may follow, `*` is all. */
function isException(hostname: string, port: string, list: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      if (entry === host) return true;
      const [, name = '', only] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.replace(/^\*?\./, '')) ?? [];
      if (only !== undefined && only !== port) return false;
      return host === name || host.endsWith(`.${name}`);
    });
}

const bracketed = (hostname: string): string => (hostname.includes(':') ? `[${hostname}]` : hostname);
