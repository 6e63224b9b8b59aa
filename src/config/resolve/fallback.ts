import type { FallbackOptions, FallbackUpstream, StaticReply } from '../../policies/fallback/options.ts';
import type { RouteConfig, UpstreamConfig } from '../config.ts';
import { didYouMean } from '../fields/did-you-mean.ts';
import { checkHeaderName } from '../fields/words.ts';
import type { FallbackInput } from '../keys/fallback.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import type { Origins, Settings } from './context.ts';
import { type Inherited, replace } from './inherit.ts';
import { statuses } from './once.ts';

/** More would leave none of them the time for an answer. */
const MOST_FURTHER = 8;

type FurtherInput = NonNullable<FallbackInput['next']>[number];

const furtherOf = ({ next }: Pick<FallbackInput, 'next'>): readonly FurtherInput[] => next ?? [];

/** Options of the fallback policy; undefined: no fallback. */
export function fallbackOptions({ fallback }: Settings): FallbackOptions | undefined {
  const { upstream, reserve, reply } = fallback;
  const inTurn = upstream === 'off' ? [] : [fallback, ...furtherOf(fallback)];
  if (inTurn.length === 0 && reply.status === null) return undefined;
  return {
    statuses: statuses(fallback.statuses),
    upstreams: inTurn.map(fallbackUpstream),
    reply: reply.status === null ? undefined : staticReply(reply.status, reply),
    reserve,
  };
}

function fallbackUpstream({
  upstream = '',
  path = '/**',
  headers,
  unsafe = false,
}: FurtherInput): FallbackUpstream {
  const remove = (headers?.remove ?? []).map((name) => name.toLowerCase());
  return { upstream, path, headers: { set: pairs(headers?.set), remove }, unsafe };
}

function staticReply(status: number, { headers, body }: Settings['fallback']['reply']): StaticReply {
  const set = pairs(headers);
  if (body !== '' && !set.some(([name]) => name.toLowerCase() === 'content-type'))
    set.push(['content-type', contentType(body)]);
  return { status, set, body };
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

/** A reply of an inner layer replaces the upstreams of an outer one, and an upstream a reply. In one layer, the reply is the last resort. */
export function checkFallback(inherited: Inherited<Settings>, report: Report): void {
  const { values, origins } = inherited;
  const { fallback } = values;
  checkNames(inherited, report);
  checkFurther(inherited, report);
  const [upstream, status] = [origins.get('fallback.upstream'), origins.get('fallback.reply.status')];
  if (fallback.upstream !== 'off' && fallback.reply.status !== null && upstream && status) {
    if (upstream.depth > status.depth) replace(inherited, 'fallback.reply.status', null);
    else if (upstream.depth < status.depth) replace(inherited, 'fallback.upstream', 'off');
  }
}

function checkFurther({ values, origins }: Inherited<Settings>, report: Report): void {
  const { upstream } = values.fallback;
  const further = furtherOf(values.fallback);
  const origin = origins.get('fallback.next');
  if (origin === undefined || further.length === 0) return;
  if (further.length > MOST_FURTHER)
    report.problem(origin.path, `has ${further.length} upstreams; write at most ${MOST_FURTHER}`, 'key');
  // An inner layer may turn off what is before it.
  const first = origins.get('fallback.upstream');
  if (upstream === 'off' && first !== undefined && first.depth <= origin.depth)
    report.problem(origin.path, 'has no upstream before it; write the first one as fallback.upstream', 'key');
  further.forEach((item, index) => {
    if (item.upstream === undefined)
      report.problem([...origin.path, index], 'has no upstream; write one, or remove this item', 'key');
  });
}

function checkNames({ values, origins }: Inherited<Settings>, report: Report): void {
  const check = (name: string, path: Path) => {
    const problem = checkHeaderName(name);
    if (problem !== undefined) report.problem(path, problem, 'key');
  };
  for (const [key, { path }] of origins.written('fallback.')) {
    const [, name] = /^fallback\.(?:headers\.set|reply\.headers)\.(.*)$/.exec(key) ?? [];
    if (name !== undefined) check(name, path);
  }
  const list = origins.get('fallback.next');
  furtherOf(values.fallback).forEach(({ headers }, index) => {
    for (const name of Object.keys(headers?.set ?? {}))
      check(name, [...(list?.path ?? []), index, 'headers', 'set', name]);
  });
}

/** Reports fallbacks to an unknown upstream, to the same one, to one twice, or to one that has a fallback itself. */
export function checkFallbacks(upstreams: readonly UpstreamConfig[], origins: Origins, report: Report): void {
  for (const { name, routes } of upstreams) {
    const others = upstreams.filter((other) => other.name !== name);
    for (const route of routes) {
      const found = origins.get(route)?.origins;
      const inTurn = upstreamsOf(route);
      inTurn.forEach((to, index) => {
        const path = placeOf(index, found);
        const problem =
          problemOf(to, name, others) ??
          problemTwice(inTurn, index, isInherited(found)) ??
          problemInTurn(inTurn, index, others);
        if (problem !== undefined && path !== undefined) report.problem(path, problem);
      });
    }
  }
}

/** Whether the first upstream is written in an inner layer, and those after it in an outer one. */
function isInherited(found: Inherited<Settings>['origins'] | undefined): boolean {
  const [first, further] = [found?.get('fallback.upstream'), found?.get('fallback.next')];
  return first !== undefined && further !== undefined && first.depth > further.depth;
}

/** `inherited`: the list of those after the first one is correct for other routes, so the first one is the problem. */
function problemTwice(inTurn: readonly string[], index: number, inherited: boolean): string | undefined {
  const to = inTurn[index] as string;
  if (inherited && index === 0)
    return inTurn.includes(to, 1)
      ? `${to} is in the inherited fallback.next too, and would only fail again; write another upstream, or next: [] here`
      : undefined;
  return inTurn.indexOf(to, inherited ? 1 : 0) < index
    ? `${to} comes before already, and would only fail again; remove it`
    : undefined;
}

function placeOf(index: number, found: Inherited<Settings>['origins'] | undefined): Path | undefined {
  if (index === 0) return found?.get('fallback.upstream')?.path;
  const further = found?.get('fallback.next');
  return further && [...further.path, index - 1, 'upstream'];
}

function problemInTurn(
  inTurn: readonly string[],
  index: number,
  others: readonly UpstreamConfig[],
): string | undefined {
  const to = inTurn[index];
  const replies = others
    .find(({ name }) => name === to)
    ?.routes.some(({ settings }) => settings.fallback?.reply !== undefined);
  return replies === true && index < inTurn.length - 1
    ? `${to} has a fixed reply itself, so none after it would be asked; make it the last one, or write fallback: off there`
    : undefined;
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
  return target.routes.some((route) => upstreamsOf(route).length > 0)
    ? `${to} has a fallback upstream itself, and fallbacks cannot be chained; write another upstream, or all of them here, in next`
    : undefined;
}

function unknown(to: string, names: readonly string[]): string {
  const meant = didYouMean(to, names);
  if (meant !== undefined) return `there is no upstream "${to}"; did you mean "${meant}"?`;
  const choice = names.length === 0 ? 'add it' : `write one of ${names.join(', ')}`;
  return `there is no upstream "${to}"; ${choice}, or write fallback: off`;
}

const upstreamsOf = ({ settings }: RouteConfig): string[] =>
  settings.fallback?.upstreams.map(({ upstream }) => upstream) ?? [];
