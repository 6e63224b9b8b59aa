import type { RawHeaders } from './headers.ts';
import { withFieldValues } from './headers.ts';
import { FieldNames, isNamed } from './field-names.ts';

/** Where the URLs of an upstream are reached through the proxy. */
export interface LinkPlace {
  /** Scheme, host and port of the upstream. */
  readonly origin: string;
  /** Path of the upstream's URL without a trailing slash; '' for none. */
  readonly basePath: string;
  /** Path of the mount without a trailing slash; '' for none. */
  readonly mount: string;
}

/** Fields whose value is a URL: RFC 9110 §10.2.2 and §8.7, and two of Azure's asynchronous operations. */
const URL_FIELDS = new FieldNames([
  'location',
  'content-location',
  'operation-location',
  'azure-asyncoperation',
]);

/** Reply fields in which URLs of the upstream are paths of the mount; the same list if there are none. */
export function mountedLinks(headers: RawHeaders, place: LinkPlace): RawHeaders {
  return withFieldValues(headers, (name, value) => {
    if (URL_FIELDS.known(name) !== undefined) return mountedUrl(value, place);
    return isNamed(name, 'link') ? mountedTargets(value, place) : value;
  });
}

/** The targets of a Link field (RFC 8288 §3), each in angle brackets. */
function mountedTargets(value: string, place: LinkPlace): string {
  const [before = '', ...links] = value.split('<');
  const mounted = links.map((link) => {
    const end = link.indexOf('>');
    return end < 0 ? link : mountedUrl(link.slice(0, end), place) + link.slice(end);
  });
  return [before, ...mounted].join('<');
}

function mountedUrl(value: string, { origin, basePath, mount }: LinkPlace): string {
  const url = URL.parse(value);
  if (url?.origin !== origin || url.username !== '' || url.password !== '') return value;
  const resolved = `${url.pathname}${url.search}${url.hash}`;
  if (!isWritten(resolved, value) || !isBelow(url.pathname, basePath)) return value;
  const below = url.pathname === basePath ? '' : url.pathname.slice(basePath.length);
  return `${mount}${below}${url.search}${url.hash}` || '/';
}

const isBelow = (path: string, base: string): boolean => path === base || path.startsWith(`${base}/`);

/** False for a path that clients would resolve to another one: it could lead out of the mount. */
function isWritten(resolved: string, value: string): boolean {
  const rest = value.slice(value.indexOf('//') + 2);
  const start = rest.search(/[/?#]/);
  const written = start < 0 ? '' : rest.slice(start);
  return written === resolved || `/${written}` === resolved;
}
