import { filled, hostLabel, isHostName, placeholdersOf } from '../../http/host-template.ts';
import type { TenantOptions } from '../config.ts';
import type { UpstreamInput } from '../keys/schema.ts';
import { tenant as tenantSchema } from '../keys/tenant.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { builtIn, inherit } from './inherit.ts';

type TenantInput = NonNullable<UpstreamInput['tenant']>;

/** The keys of the file about the placeholders of an upstream's URL. */
export interface WrittenTenants extends Pick<UpstreamInput, 'vars' | 'tenant' | 'mount'> {
  readonly name: string;
  /** The URL is the preset's, so its placeholder is intended. */
  readonly ofPreset: boolean;
}

/** The place of an upstream in the file. */
export interface Place {
  readonly path: Path;
  readonly report: Report;
}

/** The URL with the values of `vars`. Problems are reported at their lines. */
export function withVars(
  url: string | undefined,
  vars: UpstreamInput['vars'],
  { path, report }: Place,
): string | undefined {
  const known = placeholdersOf(url ?? '');
  const values: Record<string, string> = {};
  for (const [name, value = ''] of Object.entries(vars ?? {})) {
    const place = [...path, 'vars', name];
    const label = hostLabel(value, true);
    if (!known.includes(name)) report.problem(place, notInUrl(name, known), 'key');
    else if (label === undefined)
      report.problem(place, 'is not a part of a host name; write letters, digits and hyphens');
    else values[name] = label;
  }
  return url === undefined ? undefined : filled(url, values);
}

function notInUrl(name: string, known: readonly string[]): string {
  const choice = known.map((one) => `{${one}}`).join(', ');
  return known.length === 0
    ? `url has no placeholder {${name}}; remove it`
    : `url has no placeholder {${name}}, but ${choice}`;
}

/** How calls fill the placeholder that `origin` still has; undefined if it has none. Problems are reported. */
export function tenantOptions(
  origin: string,
  written: WrittenTenants,
  { path, report }: Place,
): TenantOptions | undefined {
  const [placeholder, ...more] = placeholdersOf(origin);
  if (placeholder === undefined) {
    if (written.tenant !== undefined)
      report.problem([...path, 'tenant'], 'url has no placeholder such as {shop}; remove tenant', 'key');
    return undefined;
  }
  const problem = more.length > 0 ? severalLeft([placeholder, ...more]) : openHost(origin, placeholder);
  if (problem !== undefined) report.problem([...path, written.ofPreset ? 'preset' : 'url'], problem);
  checkSource(placeholder, written, { path, report });
  const layer = { name: 'tenant', path: [...path, 'tenant'], values: written.tenant ?? {} };
  const { header, matches, dots, max } = inherit<TenantInput>([builtIn(tenantSchema), layer]).values;
  return { placeholder, header: header?.toLowerCase(), matches, dots, max };
}

function severalLeft(names: readonly string[]): string {
  const all = names.map((name) => `{${name}}`).join(' and ');
  const fixed = names.slice(1).map((name) => `${name}: …`);
  return `${all} have no value, and calls can fill only one of them; write vars: { ${fixed.join(', ')} }`;
}

/**
 * A caller chooses the text of the placeholder, and must never choose the domain. So at least two whole labels follow it, or one that
 * cannot be registered publicly.
 */
function openHost(origin: string, placeholder: string): string | undefined {
  const host = new URL(origin).hostname;
  if (!isHostName(filled(host, { [placeholder]: 'x' })))
    return 'has a host whose labels are not all letters, digits and hyphens, so no tenant could be served';
  const [, ...fixed] = host.slice(host.indexOf(`{${placeholder}}`)).split('.');
  if (fixed.length > 1 || LOCAL_SUFFIXES.has(fixed.join('.'))) return undefined;
  return `callers could choose any domain with {${placeholder}}; write the domain behind it, such as {${placeholder}}.example.com`;
}

/** Names that cannot be registered (RFC 6761, RFC 8375, ICANN resolution 2024.07.29.06). */
const LOCAL_SUFFIXES: ReadonlySet<string> = new Set(['localhost', 'test', 'example', 'internal', 'local']);

function checkSource(
  placeholder: string,
  { name, ofPreset, mount, tenant }: WrittenTenants,
  { path, report }: Place,
): void {
  const inMount = namedIn(mount).includes(placeholder);
  const inHeader = tenant?.header !== undefined;
  if (inMount && inHeader) {
    const message = `mount has {${placeholder}} too; remove one of the two`;
    return report.problem([...path, 'tenant', 'header'], message, 'key');
  }
  if (inMount || inHeader || (ofPreset && mount === undefined)) return;
  const ways = [
    `mount: { path: "/${name}/{${placeholder}}" }`,
    'tenant: { header: x-tenant }',
    `vars: { ${placeholder}: … }`,
  ];
  const at = mount === undefined ? 'url' : 'mount';
  report.problem([...path, at], `nothing fills {${placeholder}}; write ${ways.join(', or ')}`);
}

const namedIn = ({ path = '', host = '' }: NonNullable<UpstreamInput['mount']> = {}): string[] =>
  placeholdersOf(`${path} ${host}`);
