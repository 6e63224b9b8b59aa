import type { Mount } from '../../routing/router.ts';
import type { UpstreamConfig } from '../config.ts';
import type { UpstreamInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

/** The mount of an upstream; `/<name>` if none is written. */
export function mountOf(name: string, written: UpstreamInput['mount'], path: Path, report: Report): Mount {
  const { path: below, host } = written ?? {};
  if (below !== undefined && host !== undefined) {
    report.problem([...path, 'host'], 'cannot be combined with path; remove one', 'key');
  }
  if (below !== undefined) {
    const problem = wrongPath(below);
    if (problem !== undefined) report.problem([...path, 'path'], problem);
    return { path: below.replace(/\/$/, '') };
  }
  if (host === undefined) return { path: `/${name}` };
  const problem = wrongHost(host);
  if (problem !== undefined) report.problem([...path, 'host'], problem);
  return { host: host.toLowerCase().replace(/\.$/, '') };
}

function wrongPath(path: string): string | undefined {
  if (!path.startsWith('/')) return `"${path}" does not start with /; write /${path}`;
  // The router compares the path as it is sent, where these characters are percent-encoded.
  if (!/^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/.test(path))
    return `"${path}" contains a character that is not allowed in a path; remove it`;
  if (path.includes('//')) return `"${path}" contains an empty segment; write one / instead of //`;
  return path.split('/').some((part) => part === '.' || part === '..')
    ? `"${path}" contains a dot segment; remove it`
    : undefined;
}

function wrongHost(host: string): string | undefined {
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
    const other = taken.get(place);
    if (other === undefined) taken.set(place, name);
    else {
      const where = report.line(['upstreams', other]);
      report.problem(
        ['upstreams', name, 'mount', 'path' in mount ? 'path' : 'host'],
        `${place} is already used by upstreams.${other} (${where}); change one of the two`,
      );
    }
  }
}
