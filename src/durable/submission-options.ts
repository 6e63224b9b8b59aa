import { fieldPairs, headersOf, type RawHeaders, withoutFields } from '../http/headers.ts';
import { isPrivateHost } from '../http/private-address.ts';
import { splitUnquoted } from '../http/quoted.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { CallbackOptions } from './callbacks/options.ts';
import { allowsCallback } from './callbacks/target.ts';

/** Options that a client sends with a durable request, in `Breakwater-…` fields. */
export interface SubmissionOptions {
  readonly callbackUrl: string | null;
  /** Wall-clock milliseconds. */
  readonly dueAt: number;
  readonly deadlineAt: number;
  readonly orderKey: string | null;
  readonly labels: readonly string[];
}

export interface SubmissionRules {
  readonly now: number;
  readonly deadlineMs: number;
  readonly callbacks: Pick<CallbackOptions, 'allow' | 'allowPrivate'>;
}

/** Prefix of all own fields. None of them is forwarded. */
const PREFIX = 'breakwater-';

const MAX_KEY_LENGTH = 255;
const MAX_LABELS = 20;
const MAX_LABEL_LENGTH = 64;
const MAX_CALLBACK_LENGTH = 2_000;

/** Reads the `Breakwater-…` fields. Throws `bad_request` or `callback_forbidden`. */
export function submissionOptionsOf(
  headers: RawHeaders,
  { now, deadlineMs, callbacks }: SubmissionRules,
): SubmissionOptions {
  const field = (name: string) => only(headers, `${PREFIX}${name}`);
  const dueAt = notBefore(field('delay'), field('not-before'), now);
  const asked = field('deadline');
  // A client can shorten the deadline of the route, but not extend it.
  const deadlineAt = asked === undefined ? now + deadlineMs : deadline(asked, now, deadlineMs);
  if (dueAt >= deadlineAt) throw bad('the request would become due only at its deadline or later');
  const callback = field('callback');
  return {
    callbackUrl: callback === undefined ? null : callbackUrl(callback, callbacks),
    dueAt,
    deadlineAt,
    orderKey: orderKey(field('key')),
    labels: labels(headersOf(headers, `${PREFIX}label`).join(',')),
  };
}

/** Undefined without the field. A second value is refused, because it is ambiguous. */
function only(headers: RawHeaders, name: string): string | undefined {
  const [value, other] = headersOf(headers, name);
  if (other !== undefined) throw bad(`${name} must not be sent more than once`);
  return value?.trim();
}

/** Removes the `Breakwater-…` fields, and the preferences that this proxy handles, from the request. */
export function withoutSubmissionFields(headers: RawHeaders): string[] {
  const others = withoutFields(headers, (name) => name.startsWith(PREFIX));
  return fieldPairs(others).flatMap(([name, value]) => {
    if (name.toLowerCase() !== 'prefer') return [name, value];
    const left = otherPreferences(value);
    return left === '' ? [] : [name, left];
  });
}

const OURS = /^\s*(respond-async|wait|handling)\s*(=|;|$)/i;

function otherPreferences(value: string): string {
  const parts = splitUnquoted(value, ',').filter((part) => !OURS.test(part));
  return parts
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(', ');
}

function notBefore(delay: string | undefined, at: string | undefined, now: number): number {
  if (delay !== undefined && at !== undefined)
    throw bad('Breakwater-Delay and Breakwater-Not-Before cannot be combined; send one of them');
  if (delay !== undefined) return now + durationMs('Breakwater-Delay', delay);
  if (at === undefined) return now;
  return Math.max(now, moment('Breakwater-Not-Before', at));
}

function deadline(text: string, now: number, mostMs: number): number {
  const at = DURATION.test(text)
    ? now + durationMs('Breakwater-Deadline', text)
    : moment('Breakwater-Deadline', text, 'a duration such as 3h or a time');
  if (at <= now) throw bad('Breakwater-Deadline is in the past');
  return Math.min(at, now + mostMs);
}

const DURATION = /^(\d{1,9}(?:\.\d{1,3})?)\s*(ms|s|m|h|d)$/;
const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A longer duration is taken for a mistake. */
const LONGEST_MS = 366 * UNIT_MS.d;

function durationMs(name: string, text: string): number {
  const [, number, unit] = DURATION.exec(text) ?? [];
  const ms = Math.round(Number(number) * UNIT_MS[(unit ?? 's') as keyof typeof UNIT_MS]);
  if (!(ms <= LONGEST_MS)) throw bad(`${name} must be a duration such as 10m or 3d, at most 366d`);
  return ms;
}

/** RFC 3339 with a time zone, because a time without one is ambiguous. */
const MOMENT = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/;

function moment(name: string, text: string, kind = 'a time'): number {
  const at = MOMENT.test(text) && isDay(text.slice(0, 10)) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw bad(`${name} must be ${kind} such as 2026-12-01T08:00:00Z`);
  return at;
}

/** Needed because Date.parse reads February 30 as March 2. */
function isDay(date: string): boolean {
  const at = Date.parse(date);
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(date);
}

function orderKey(key: string | undefined): string | null {
  if (key === undefined) return null;
  // A line break separates the key from its caller and route (`queueOf`).
  if (key === '' || key.length > MAX_KEY_LENGTH || /\p{Cc}/u.test(key))
    throw bad(`Breakwater-Key must have 1 to ${MAX_KEY_LENGTH} characters and no control characters`);
  return key;
}

function labels(text: string): string[] {
  const found = text
    .split(',')
    .map((label) => label.trim())
    .filter((label) => label !== '');
  if (found.length > MAX_LABELS || found.some((label) => label.length > MAX_LABEL_LENGTH))
    throw bad(
      `Breakwater-Label takes at most ${MAX_LABELS} labels of at most ${MAX_LABEL_LENGTH} characters each`,
    );
  return [...new Set(found)];
}

function callbackUrl(text: string, { allow, allowPrivate }: SubmissionRules['callbacks']): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || text.length > MAX_CALLBACK_LENGTH)
    throw bad(
      `Breakwater-Callback must be an http or https URL of at most ${MAX_CALLBACK_LENGTH} characters`,
    );
  if (url.username !== '' || url.password !== '')
    throw bad('Breakwater-Callback must not contain a user name or password, because the URL is stored');
  if (!allowsCallback(allow, url) || (!allowPrivate && isPrivateHost(url.hostname)))
    throw new ProxyError(
      'callback_forbidden',
      `callbacks to this URL on ${url.hostname} are not allowed; durable.callbacks.allow in the configuration lists what is`,
    );
  url.hash = '';
  return url.href;
}

function bad(message: string): ProxyError {
  return new ProxyError('bad_request', message);
}
