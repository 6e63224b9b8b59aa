import { terminalText } from '../runtime/terminal.ts';
import { table } from './table.ts';

/** The status of a durable request, as far as it is shown. */
export interface Monitor {
  readonly id: string;
  readonly request_id?: string;
  readonly status: string;
  readonly done: boolean;
  readonly route: string;
  readonly labels: readonly string[];
  readonly key?: string;
  readonly request: { readonly method: string; readonly path: string; readonly bytes: number };
  readonly created_at: string;
  readonly finished_at?: string;
  readonly deadline: string;
  readonly attempts: { readonly made: number; readonly max?: number };
  readonly next?: { readonly at: string; readonly reason?: string };
  readonly plan: readonly string[];
  readonly response?: { readonly status: number; readonly bytes: number; readonly truncated?: boolean };
  readonly error?: { readonly code: string; readonly title: string };
  readonly callback?: { readonly url: string; readonly status?: string };
  readonly erased?: boolean;
}

export interface Attempts {
  readonly attempts: readonly {
    readonly n: number;
    readonly at: string;
    readonly ms: number;
    readonly status?: number;
    readonly error?: string;
    readonly wait_ms?: number;
    readonly reason?: string;
    readonly reclaimed?: boolean;
  }[];
}

/** A table, newest first; `now` is wall-clock milliseconds. */
export function describeList(requests: readonly Monitor[], now: number): string {
  if (requests.length === 0) return 'no requests\n';
  const rows = requests.map((monitor) => [
    monitor.id,
    monitor.status,
    upcoming(monitor, now) ?? result(monitor),
    made(monitor),
    monitor.route,
    `${monitor.request.method} ${monitor.request.path}`,
    ago(monitor.created_at, now),
    monitor.labels.join(', '),
  ]);
  return table([
    ['ID', 'STATUS', 'NEXT OR RESULT', 'ATTEMPTS', 'ROUTE', 'REQUEST', 'ACCEPTED', 'LABELS'],
    ...rows,
  ]);
}

/** All about one request. */
export function describeRequest(monitor: Monitor, attempts: Attempts, now: number): string {
  const { request, labels, key, deadline, plan, callback } = monitor;
  const rows = [
    ['status', inShort(monitor, now)],
    ['request id', monitor.request_id ?? ''],
    ['route', monitor.route],
    ['request', `${request.method} ${request.path}, ${request.bytes} bytes`],
    ['labels', labels.join(', ')],
    ['key', key ?? ''],
    ['accepted', `${monitor.created_at}, ${ago(monitor.created_at, now)}`],
    ['finished', monitor.finished_at ?? ''],
    ['deadline', monitor.done ? '' : deadline],
    ['attempts', made(monitor)],
    ['planned', plan.map((at) => until(at, now)).join(', ')],
    ['error', monitor.error?.title ?? ''],
    ['callback', [callback?.url, callback?.status].filter((part) => part !== undefined).join(', ')],
  ];
  const known = table(rows.filter(([, value]) => value !== ''));
  return `${terminalText(monitor.id)}\n${known}\n${describeAttempts(attempts, now)}`;
}

/** One line for each attempt, with the wait after it. */
export function describeAttempts({ attempts }: Attempts, now: number): string {
  if (attempts.length === 0) return 'no attempts yet\n';
  const rows = attempts.map(({ n, at, ms, status, error, wait_ms: wait, reason, reclaimed }) => [
    String(n),
    ago(at, now),
    roughly(ms),
    status === undefined ? (error ?? '') : String(status),
    wait === undefined ? (reason ?? '') : `waited ${roughly(wait)} (${reason ?? 'no reason'})`,
    reclaimed === true ? 'started by a process that crashed' : '',
  ]);
  return table([['ATTEMPT', 'STARTED', 'TOOK', 'RESULT', 'NEXT', ''], ...rows], [0, 2]);
}

/** The status in a few words. */
export function inShort(monitor: Monitor, now: number): string {
  const then = upcoming(monitor, now) ?? result(monitor);
  const erased = monitor.erased === true ? ' (erased)' : '';
  return terminalText(`${monitor.status}${then === '' ? '' : `: ${then}`}${erased}`);
}

function upcoming({ next }: Monitor, now: number): string | undefined {
  if (next === undefined) return undefined;
  return next.reason === undefined ? until(next.at, now) : `${until(next.at, now)} (${next.reason})`;
}

function result({ response, error }: Monitor): string {
  const parts = [error?.code, response && `${response.status}, ${response.bytes} bytes`];
  return parts.filter((part) => part !== undefined).join(': ');
}

function made({ attempts: { made: count, max } }: Monitor): string {
  return max === undefined ? String(count) : `${count} of ${max}`;
}

const ago = (moment: string, now: number): string => `${roughly(Math.max(0, now - Date.parse(moment)))} ago`;

function until(moment: string, now: number): string {
  const ms = Date.parse(moment) - now;
  return ms <= 0 ? 'now' : `in ${roughly(ms)}`;
}

/** Each unit is used up to twice the next one, so that no more than half is lost to rounding. */
const UNITS = [
  ['s', 1_000, 120_000],
  ['min', 60_000, 7_200_000],
  ['h', 3_600_000, 172_800_000],
  ['d', 86_400_000, Number.POSITIVE_INFINITY],
] as const;

/** `412 ms`, `4.2 s`, `37 s`, `12 min`, `5 h`, `3 d`. */
export function roughly(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  const [name, unit] = UNITS.find(([, , below]) => ms < below) ?? UNITS[3];
  const value = ms / unit;
  return `${value < 9.95 && name === 's' ? value.toFixed(1) : Math.round(value)} ${name}`;
}
