import type { Mount } from '../../routing/router.ts';
import type { UpstreamConfig } from '../config.ts';
import type { UpstreamInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';

/** Where an upstream is reached; `/<name>` when nothing is written. */
export function mountOf(name: string, written: UpstreamInput['mount'], path: Path, report: Report): Mount {
  const { path: below, host } = written ?? {};
  if (below !== undefined && host !== undefined) {
    report.problem([...path, 'host'], 'stands beside path; keep one of the two', 'key');
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
  // Routers compare the path as it is sent; these would never be equal to anything.
  if (!/^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/.test(path))
    return `"${path}" holds a character that is not plain path text`;
  if (path.includes('//')) return `"${path}" holds an empty segment`;
  return path.split('/').some((part) => part === '.' || part === '..')
    ? `"${path}" holds a dot segment`
    : undefined;
}

function wrongHost(host: string): string | undefined {
  if (/^[a-z0-9.-]+:\d+$/i.test(host)) return `"${host}" has a port; the host alone is compared`;
  return /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?|\[[0-9a-f:.]+\])$/i.test(host)
    ? undefined
    : `"${host}" is not a host name; write for example stripe.local`;
}

/** Two upstreams in one place: only one of them could be reached. */
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
        `${place} is taken by upstreams.${other} (${where}); mount one of them elsewhere`,
      );
    }
  }
}
