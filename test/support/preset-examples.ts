import type { RouteConfig } from '../../src/config/config.ts';
import { type Good, loadConfig } from '../../src/config/load.ts';
import type { QuotaReading } from '../../src/http/rate-limit.ts';
import { quotaReader } from '../../src/http/rate-limit.ts';
import type { RawHeaders } from '../../src/http/headers.ts';
import type { Reply } from '../../src/http/reply.ts';
import { askedWaitMs } from '../../src/http/retry-after.ts';
import { RuleMatcher } from '../../src/policies/error-rules/rule-matcher.ts';
import { classify } from '../../src/policies/retry/classify.ts';
import { EventMatcher } from '../../src/policies/stream/event-matcher.ts';
import { Router } from '../../src/routing/router.ts';

/** The time of all examples: 1767225600 s since the epoch. */
const NOW = Date.UTC(2026, 0, 1);

/** Examples from the sources of one preset, and what they mean with it. */
export interface PresetExamples {
  /** Host names of the API, which find the preset. */
  readonly hosts: readonly string[];
  readonly replies: readonly ReplyExample[];
  /** How calls may be repeated if their outcome is unknown. */
  readonly requests?: readonly RequestExample[];
  /** Quotas that replies state. */
  readonly quotas?: readonly QuotaExample[];
  readonly events?: readonly EventExample[];
}

export interface ReplyExample {
  /** Method and path. Default: `POST /x`. */
  readonly call?: string;
  /** Further keys of the upstream. */
  readonly keys?: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** `retry`, or why not; then the error rule, whether it is about a quota, and the wait that is asked for. */
  readonly means: string;
}

export interface RequestExample {
  /** Method and path. */
  readonly call: string;
  /** `once`: never sent again. `safe`: like a GET. `inject`, `pass` or `require`, and the header: under an idempotency key. `none`: by its method. */
  readonly repeats: string;
}

export interface QuotaExample {
  readonly call?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly readings: readonly Partial<QuotaReading>[];
}

export interface EventExample {
  /** Default: `POST /x`. */
  readonly call?: string;
  readonly event: string;
  readonly data: unknown;
  /** `meaningful`, `ignored` or `done`; of an error, its status, its rule, what it means for a POST, and the wait. */
  readonly means: string;
}

/** The configuration of an upstream with this preset, and with `keys`. */
export function withPreset(preset: string, keys = '', files: Readonly<Record<string, string>> = {}): Good {
  const text = `upstreams:\n  api: { url: https://api.example.com, preset: ${preset}, ${keys} }\n`;
  const loaded = loadConfig('config.yaml', {}, (path) => files[path] ?? text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded;
}

/** The route of a call: `POST /v1/charges`. */
export function routeOf({ config }: Good, call: string): RouteConfig {
  const [method = '', path = ''] = call.split(' ');
  const upstreams = config.upstreams.map(({ mount, basePath, routes }) => ({
    mount,
    basePath,
    routes: routes.map((route) => ({ ...route, route })),
  }));
  const match = new Router(upstreams).match(method, undefined, `/api${path}`);
  if (match.kind !== 'route') throw new Error(match.why);
  return match.route;
}

const ANY_POST = 'POST /x';

const textOf = (data: unknown): string => (typeof data === 'string' ? data : JSON.stringify(data));

const rawHeaders = (headers: Readonly<Record<string, string>>): RawHeaders => Object.entries(headers).flat();

const words = (...parts: readonly unknown[]): string =>
  parts.filter((part) => part !== undefined && part !== false).join(' ');

const seconds = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : `${ms / 1000}s`;

/** The meaning of a reply: see `ReplyExample.means`. */
export function replyMeans(
  preset: string,
  { call = ANY_POST, keys, status, headers = {}, body = '' }: ReplyExample,
): string {
  const { retry, errorRules } = routeOf(withPreset(preset, keys), call).settings;
  const type = status < 400 ? { 'content-type': 'application/json' } : {};
  const head = { status, headers: rawHeaders({ ...headers, ...type }) };
  const matcher = new RuleMatcher(errorRules);
  const early = matcher.byHead(head, NOW);
  const classification = early === 'body' ? matcher.byBody(head, textOf(body), NOW) : early;
  const reply: Pick<Reply, 'status' | 'headers' | 'classification'> = {
    ...head,
    ...(classification !== undefined && { classification }),
  };
  const idempotencyKey = retry.idempotencyKey === 'inject' ? 'k' : undefined;
  const [method = ''] = call.split(' ');
  const made = classify({ kind: 'reply', reply }, { method, idempotencyKey, safe: retry.safe }, retry, 1);
  return words(
    made.retry === 'yes' ? 'retry' : made.because,
    classification?.name,
    classification?.throttled === true && 'throttled',
    seconds(askedWaitMs(reply, NOW)),
  );
}

/** The way in which a call may be repeated: see `RequestExample.repeats`. */
export function requestRepeats(preset: string, call: string): string {
  const { retry } = routeOf(withPreset(preset), call).settings;
  if (retry.attempts === 1) return 'once';
  if (retry.safe) return 'safe';
  return retry.idempotencyKey === 'none' ? 'none' : `${retry.idempotencyKey} ${retry.idempotencyHeader}`;
}

/** The quotas that a reply states. */
export function quotasOf(
  preset: string,
  { call = ANY_POST, headers }: QuotaExample,
): readonly QuotaReading[] {
  const { quota } = routeOf(withPreset(preset), call).settings;
  return quotaReader(quota.formats)(rawHeaders(headers), NOW) ?? [];
}

/** The meaning of an event of a stream: see `EventExample.means`. */
export function eventMeans(preset: string, { call = ANY_POST, event, data }: EventExample): string {
  const options = routeOf(withPreset(preset), call).settings.stream;
  if (options === undefined) throw new Error(`${preset} has no rules for streams`);
  const meaning = new EventMatcher(options).meaningOf({ name: event, data: textOf(data) }, [], {
    wallTime: () => NOW,
  });
  if (typeof meaning === 'string') return meaning;
  const { kind, throttled, name, retryAfterMs } = meaning.classification;
  return words(meaning.status, name, kind, throttled === true && 'throttled', seconds(retryAfterMs));
}
