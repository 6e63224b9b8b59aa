import type * as z from 'zod';
import { parseCron } from '../../durable/schedules/cron.ts';
import type { ScheduleOptions } from '../../durable/schedules/options.ts';
import { CredentialNames, extractSecrets } from '../../http/credentials.ts';
import { Router } from '../../routing/router.ts';
import { TenantNames } from '../../routing/tenant-names.ts';
import type { RouteConfig, UpstreamConfig } from '../config.ts';
import { checkHeaderName } from '../fields/words.ts';
import { schedule } from '../keys/schedules.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { builtIn, type Complete, inherit } from './inherit.ts';

type Written = z.output<typeof schedule>;
type Values = Complete<Written>;

/** Every schedule with its route. Problems are reported at their lines. */
export function resolveSchedules(
  written: Readonly<Record<string, Written>>,
  upstreams: readonly UpstreamConfig[],
  report: Report,
): ScheduleOptions[] {
  const entries = Object.entries(written);
  if (entries.length === 0) return [];
  const router = routerOf(upstreams);
  return entries.flatMap(([name, values]) => {
    const path = ['schedules', name];
    const { values: whole } = inherit<Written>([builtIn(schedule), { name, path, values }]);
    checkCron(whole, path, report);
    const found = find(whole, path, { router, report });
    return found === undefined ? [] : [optionsOf(name, whole, { ...found, path, report })];
  });
}

interface Target {
  readonly upstream: UpstreamConfig;
  readonly route: RouteConfig;
}

function routerOf(upstreams: readonly UpstreamConfig[]): Router<Target> {
  return new Router(
    upstreams.map((upstream) => ({
      ...upstream,
      routes: upstream.routes.map((route) => ({ ...route, route: { upstream, route } })),
    })),
  );
}

function checkCron({ cron, timezone }: Partial<Values>, path: Path, report: Report): void {
  if (cron === undefined) {
    if (!report.knows([...path, 'cron']))
      report.problem([...path, 'cron'], 'is missing; write for example cron: "*/2 * * * *"', 'key');
    return;
  }
  const zone = isTimezone(timezone ?? 'UTC');
  if (!zone)
    report.problem(
      [...path, 'timezone'],
      `"${timezone}" is not a time zone; write for example Europe/Berlin`,
    );
  try {
    if (parseCron(cron, zone ? (timezone ?? 'UTC') : 'UTC').next(0) === undefined)
      report.problem([...path, 'cron'], `"${cron}" matches no date; write for example "*/2 * * * *"`);
  } catch (error) {
    report.problem([...path, 'cron'], `"${cron}" ${cronProblem(cron, error)}`);
  }
}

function cronProblem(cron: string, error: unknown): string {
  const { length } = cron.match(/\S+/g) ?? [];
  if (length !== 5 && length !== 6)
    return `has ${length} ${length === 1 ? 'field' : 'fields'}; write minute hour day month weekday, with an optional second in front`;
  const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
  return `is not a cron expression: ${why}`;
}

function isTimezone(name: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function find(
  { request }: Values,
  path: Path,
  { router, report }: { router: Router<Target>; report: Report },
): Found | undefined {
  const place = [...path, 'request', 'path'];
  if (request.path === undefined) {
    if (!report.knows(place))
      report.problem(place, 'is missing; write for example request: { path: /fx/latest }', 'key');
    return undefined;
  }
  const match = router.match(request.method.toUpperCase(), undefined, request.path);
  if (match.kind !== 'route') {
    report.problem(place, match.why);
    return undefined;
  }
  const { upstream, route } = match.route;
  const tenant = tenantOf(upstream, match.tenant, request.headers);
  if (tenant === undefined) {
    report.problem(place, `names no tenant of upstream ${upstream.name}; write one as an app would`);
    return undefined;
  }
  if (route.settings.durable !== undefined) {
    if (extractSecrets(match.target, new CredentialNames(route.settings.identity)).extracted.length > 0)
      report.warning(
        place,
        'contains a secret in its query, which is stored in plain text; let the proxy add it, by auth.query of the upstream',
      );
    return { upstream, route, tenant, target: match.target };
  }
  report.problem(
    place,
    `is a call of route ${route.name} of upstream ${upstream.name}, which is not durable; write durable: true in that route`,
  );
  return undefined;
}

interface Found extends Target {
  readonly target: string;
  /** '' if the upstream has no tenants. */
  readonly tenant: string;
}

/** The tenant of a run, in the path or in a header of the request; undefined if it names none that is allowed. */
function tenantOf(
  upstream: UpstreamConfig,
  inPath: string | undefined,
  headers: Values['request']['headers'] | undefined,
): string | undefined {
  const { tenants } = upstream;
  if (tenants === undefined) return '';
  const entries = Object.entries(headers ?? {});
  const [, inHeader] = entries.find(([name]) => name.toLowerCase() === tenants.header) ?? [];
  return new TenantNames({ ...upstream, ...tenants }).read(inPath ?? inHeader ?? '');
}

interface ScheduleContext extends Found {
  readonly path: Path;
  readonly report: Report;
}

function optionsOf(name: string, values: Values, context: ScheduleContext): ScheduleOptions {
  const { cron, timezone, overlap, catchup, request } = values;
  const { upstream, route, tenant, target } = context;
  const { idempotencyKey, idempotencyHeader } = route.settings.retry;
  return {
    name,
    cron,
    timezone,
    overlap,
    catchup,
    route: `${upstream.name}/${route.name}`,
    tenant,
    method: request.method.toUpperCase(),
    target,
    headers: headersOf(request.headers, context),
    body: (request.body as string | undefined) ?? '',
    keyHeader: idempotencyKey === 'none' ? undefined : idempotencyHeader,
  };
}

function headersOf(
  written: Values['request']['headers'] | undefined,
  { path, report, route, upstream }: ScheduleContext,
): string[] {
  const names = new CredentialNames(route.settings.identity);
  return Object.entries(written ?? {}).flatMap(([name, value]) => {
    if (name.toLowerCase() === upstream.tenants?.header) return [];
    const secret = names.isSecret(name)
      ? 'is a secret, and would be stored in plain text; write it into headers.set of the upstream'
      : undefined;
    const problem = checkHeaderName(name) ?? secret;
    if (problem !== undefined) report.problem([...path, 'request', 'headers', name], problem, 'key');
    return problem === undefined && value !== undefined ? [name, value] : [];
  });
}

/** The next `count` run times of a schedule after `after`, in milliseconds since the epoch. */
export function nextSlots({ cron, timezone }: ScheduleOptions, after: number, count: number): number[] {
  const slots = parseCron(cron, timezone);
  const found: number[] = [];
  for (let at = slots.next(after); at !== undefined && found.length < count; at = slots.next(at))
    found.push(at);
  return found;
}
