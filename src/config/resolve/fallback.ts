import type { FallbackOptions } from '../../policies/fallback/options.ts';
import type { RouteConfig, UpstreamConfig } from '../config.ts';
import { didYouMean } from '../fields/did-you-mean.ts';
import { checkHeaderName } from '../fields/words.ts';
import type { Report } from '../read/report.ts';
import type { Origins, Settings } from './context.ts';
import { type Inherited, replace } from './inherit.ts';
import { statuses } from './once.ts';

/** Options of the fallback policy; undefined: no fallback. */
export function fallbackOptions({ fallback, retry }: Settings): FallbackOptions | undefined {
  const { upstream, path, headers, unsafe, reserve, reply } = fallback;
  const on = statuses(fallback.statuses);
  if (reply.status !== null) {
    const set = pairs(reply.headers);
    if (reply.body !== '' && !set.some(([name]) => name.toLowerCase() === 'content-type')) {
      set.push(['content-type', contentType(reply.body)]);
    }
    return { statuses: on, to: { status: reply.status, set, body: reply.body } };
  }
  if (upstream === 'off') return undefined;
  const rules = {
    set: pairs(headers?.set),
    remove: (headers?.remove ?? []).map((name) => name.toLowerCase()),
  };
  return {
    statuses: on,
    to: { upstream, path, headers: rules, unsafe, reserve, notProcessed: statuses(retry.not_processed) },
  };
}

function contentType(body: string): string {
  return /^\s*[[{]/.test(body) ? 'application/json' : 'text/plain; charset=utf-8';
}

/** An inner layer may write the same name in other letters: the last one wins. */
function pairs(headers: Readonly<Record<string, string | undefined>> = {}): [string, string][] {
  const byName = new Map<string, [string, string]>();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) byName.set(name.toLowerCase(), [name, value]);
  }
  return [...byName.values()];
}

/** Of upstream and reply, the one in the inner layer wins. Both in one layer are a problem. */
export function checkFallback(inherited: Inherited<Settings>, report: Report): void {
  const { values, origins } = inherited;
  const { fallback } = values;
  checkNames(origins, report);
  const [upstream, status] = [origins.get('fallback.upstream'), origins.get('fallback.reply.status')];
  if (fallback.upstream === 'off' || fallback.reply.status === null || !upstream || !status) return;
  if (upstream.depth === status.depth) {
    report.problem(upstream.path, 'cannot be combined with reply; remove one', 'key');
  } else if (upstream.depth > status.depth) {
    replace(inherited, 'fallback.reply.status', null);
  } else {
    replace(inherited, 'fallback.upstream', 'off');
  }
}

function checkNames(origins: Inherited<Settings>['origins'], report: Report): void {
  for (const [key, { path }] of origins.written('fallback.')) {
    const [, name] = /^fallback\.(?:headers\.set|reply\.headers)\.(.*)$/.exec(key) ?? [];
    const problem = name === undefined ? undefined : checkHeaderName(name);
    if (problem !== undefined) report.problem(path, problem, 'key');
  }
}

/** Reports fallbacks to an unknown upstream, to the same one, or to one that has a fallback itself. */
export function checkFallbacks(upstreams: readonly UpstreamConfig[], origins: Origins, report: Report): void {
  for (const { name, routes } of upstreams) {
    const others = upstreams.filter((other) => other.name !== name);
    for (const route of routes) {
      const to = upstreamOf(route);
      const origin = origins.get(route)?.origins.get('fallback.upstream');
      const problem = to === undefined ? undefined : problemOf(to, name, others);
      if (problem !== undefined && origin !== undefined) report.problem(origin.path, problem);
    }
  }
}

function problemOf(to: string, own: string, others: readonly UpstreamConfig[]): string | undefined {
  if (to === own) return `${own} cannot be its own fallback; write another upstream, or fallback: off`;
  const target = others.find(({ name }) => name === to);
  if (target === undefined) {
    return unknown(
      to,
      others.map(({ name }) => name),
    );
  }
  if (target.tenants !== undefined)
    return `${to} has the placeholder {${target.tenants.placeholder}} in url, and a failed call names no tenant there; write another upstream`;
  return target.routes.some((route) => upstreamOf(route) !== undefined)
    ? `${to} has a fallback upstream itself, and fallbacks cannot be chained; write another upstream`
    : undefined;
}

function unknown(to: string, names: readonly string[]): string {
  const meant = didYouMean(to, names);
  if (meant !== undefined) return `there is no upstream "${to}"; did you mean "${meant}"?`;
  const choice = names.length === 0 ? 'add it' : `write one of ${names.join(', ')}`;
  return `there is no upstream "${to}"; ${choice}, or write fallback: off`;
}

function upstreamOf({ settings }: RouteConfig): string | undefined {
  const to = settings.fallback?.to;
  return to !== undefined && 'upstream' in to ? to.upstream : undefined;
}
