import { placeholdersOf } from '../../http/host-template.ts';
import type { Mount } from '../../routing/router.ts';
import type { UpstreamConfig } from '../config.ts';
import type { UpstreamInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

interface MountParts extends Pick<UpstreamInput, 'mount' | 'tenant'> {
  readonly name: string;
  /** The placeholder of the upstream's URL; undefined if it has none. */
  readonly placeholder: string | undefined;
}

/** The mount of an upstream. If none is written: `/<name>`, followed by the placeholder unless a header names the tenant. */
export function mountOf(parts: MountParts, path: Path, report: Report): Mount {
  const { name, mount, placeholder } = parts;
  const { path: below, host } = mount ?? {};
  if (below !== undefined && host !== undefined) {
    report.problem([...path, 'host'], 'cannot be combined with path; remove one', 'key');
  }
  if (below !== undefined) {
    const problem = wrongPath(below, placeholder);
    if (problem !== undefined) report.problem([...path, 'path'], problem);
    return { path: below.replace(/\/$/, '') };
  }
  if (host === undefined) return { path: `/${name}${defaultTenant(parts)}` };
  const problem = wrongHost(host, placeholder);
  if (problem !== undefined) report.problem([...path, 'host'], problem);
  return { host: host.toLowerCase().replace(/\.$/, '') };
}

const defaultTenant = ({ placeholder, tenant }: MountParts): string =>
  placeholder === undefined || tenant?.header !== undefined ? '' : `/{${placeholder}}`;

function wrongPath(path: string, placeholder: string | undefined): string | undefined {
  if (!path.startsWith('/')) return `"${path}" does not start with /; write /${path}`;
  const segments = path.split('/');
  const tenants = segments.filter((segment) => segment === `{${placeholder}}`).length;
  if (tenants > 1) return `"${path}" contains {${placeholder}} twice; remove one`;
  if (tenants < placeholdersOf(path).length)
    return misplaced(path, placeholder, `a whole segment, such as /{${placeholder}}`);
  const literal = segments.filter((segment) => segment !== `{${placeholder}}`).join('/');
  // The router compares the path as it is sent, where these characters are percent-encoded.
  if (!/^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/.test(literal))
    return `"${path}" contains a character that is not allowed in a path; remove it`;
  if (path.includes('//')) return `"${path}" contains an empty segment; write one / instead of //`;
  return path.split('/').some((part) => part === '.' || part === '..')
    ? `"${path}" contains a dot segment; remove it`
    : undefined;
}

/** A placeholder that is not the URL's, or in the wrong place. */
function misplaced(written: string, placeholder: string | undefined, place: string): string {
  return placeholder === undefined
    ? `"${written}" contains a placeholder, and url has none; remove it`
    : `"${written}" contains a placeholder; it can only be {${placeholder}}, and ${place}`;
}

function wrongHost(written: string, placeholder: string | undefined): string | undefined {
  const tenant = `{${placeholder}}.`;
  const host = written.startsWith(tenant) ? written.slice(tenant.length) : written;
  if (placeholdersOf(host).length > 0)
    return misplaced(written, placeholder, `the first label, such as ${tenant}proxy.internal`);
  if (/^[a-z0-9.-]+:\d+$/i.test(host)) return `"${host}" has a port; write the host without it`;
  return /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])$/i.test(host)
    ? undefined
    : `"${host}" is not a host name; write for example stripe.local`;
}

/** Reports two upstreams with the same mount: only one could be reached. */
export function checkMounts(upstreams: readonly UpstreamConfig[], report: Report): void {
  const taken = new Map<string, string>();
  for (const { name, mount } of upstreams) {
    const place = 'path' in mount ? mount.path || '/' : mount.host;
    // The name of a placeholder does not distinguish two mounts.
    const key = place.replace(/\{\w+\}/, '{}');
    const other = taken.get(key);
    if (other === undefined) taken.set(key, name);
    else {
      const where = report.line(['upstreams', other]);
      report.problem(
        ['upstreams', name, 'mount', 'path' in mount ? 'path' : 'host'],
        `${place} is already used by upstreams.${other} (${where}); change one of the two`,
      );
    }
  }
}
