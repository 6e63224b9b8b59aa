import { isIpAddress } from '../../http/ip-address.ts';
import { allowList } from '../../routing/allow-list.ts';
import { decodeUnreserved } from '../../routing/request-path.ts';

/** One entry of the configured list of callback targets. */
export interface CallbackRule {
  readonly scheme: 'http:' | 'https:';
  /** Lower case, as in URLs. `*.example.com` matches all subdomains, but not example.com itself. */
  readonly host: string;
  /** '' for the default port of the scheme. */
  readonly port: string;
  /** A path pattern, as in routes. */
  readonly path: string;
}

const RULE = /^(?:(https?):\/\/)?(\*\.)?([a-z0-9][a-z0-9.-]*|\[[0-9a-f:.]+\])(:\d{1,5})?(\/[^?#\s]*)?$/i;

/**
 * Parses `https://app.internal/hooks/**`. The default scheme is https, the default path is every path. Undefined if
 * the text is not valid.
 */
export function callbackRule(text: string): CallbackRule | undefined {
  const parts = RULE.exec(text);
  return parts === null ? undefined : ruleOf(parts);
}

function ruleOf([, scheme = 'https', wild = '', host, port = '', path]: RegExpExecArray) {
  const url = URL.parse(`${scheme}://${host}${port}`);
  // A URL turns numbers into IP addresses, and those have no subdomains.
  if (url === null || (wild !== '' && isIpAddress(url.hostname))) return undefined;
  return {
    scheme: url.protocol as CallbackRule['scheme'],
    host: wild + url.hostname,
    port: url.port,
    path: path === undefined || path === '/' ? '/**' : path,
  };
}

/** Whether a callback may go there. Of an odd path, every way in which a server might read it has to be allowed. */
export function allowsCallback(rules: readonly string[], url: URL): boolean {
  const path = decodeUnreserved(url.pathname);
  return rules.some((text) => {
    const rule = callbackRule(text);
    return (
      rule !== undefined &&
      sameOrigin(rule, url) &&
      allowList([{ methods: undefined, path: rule.path }])('POST', path)
    );
  });
}

function sameOrigin({ scheme, host, port }: CallbackRule, url: URL): boolean {
  if (scheme !== url.protocol || port !== url.port) return false;
  return host.startsWith('*.') ? url.hostname.endsWith(host.slice(1)) : host === url.hostname;
}
