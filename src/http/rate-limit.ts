import { digits } from './digits.ts';
import { FieldNames } from './field-names.ts';
import { type Field, headerOf, knownFields, type RawHeaders } from './headers.ts';
import { sentWallMs } from './http-date.ts';
import { rateLimitItems } from './rate-limit-field.ts';
import { type ReplyTimes, type ResetAs, resetAfterMs } from './reset-value.ts';

/** How an API says in the headers of its replies what is left of one of its quotas. All names in lower case. */
export interface QuotaFormat {
  /** Tells this quota from others of the same API, such as `tokens`; `default` when left out. A label of metrics. */
  readonly bucket?: string;
  /** What is counted: calls, or what `quota.cost` says that a call costs (tokens of a language model). `calls` when left out. */
  readonly unit?: 'calls' | 'cost';
  readonly limit?: string;
  /** Negative (Azure's -1) means unknown. */
  readonly remaining?: string;
  readonly reset?: string;
  /** `auto` when left out. */
  readonly resetAs?: ResetAs;
  /** It flows back all the time, and the reset is the moment when it is full again (OpenAI, Anthropic), not the end of a window. */
  readonly continuous?: boolean;
  /** One header that says `used/size`, of which so much leaks away all the time (Shopify). In place of the four above. */
  readonly combined?: { readonly header: string; readonly leakPerSecond: number };
  /** The header that names which of several quotas of the same form a reply speaks of (GitHub's core, search, graphql). */
  readonly resource?: string;
}

/** What one reply says about one quota; undefined where it does not say. */
export interface QuotaReading {
  readonly bucket: string;
  readonly unit: 'calls' | 'cost';
  /** The policy's name in the RateLimit field, of which all hold at once; else empty. */
  readonly policy: string;
  /** The value of `resource`: a quota for some calls and not for others; else empty. */
  readonly resource: string;
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** From the reply's arrival until the quota is whole again. */
  readonly resetMs: number | undefined;
  /** The time that `limit` is for. */
  readonly windowMs: number | undefined;
  /** It flows back all the time, `limit` within `windowMs` (or what is missing until the reset), instead of coming back whole at the reset. */
  readonly continuous: boolean;
}

/** Reads the quotas of a reply; undefined, as for most replies, when it says nothing of any. */
export type QuotaReader = (headers: RawHeaders, nowWallMs: number) => readonly QuotaReading[] | undefined;

export const DEFAULT_BUCKET = 'default';

/** What many APIs send. The RateLimit field of the standard is read whatever the formats are. */
export const GENERIC_FORMATS: readonly QuotaFormat[] = [
  generic('ratelimit', '-reset'),
  generic('x-ratelimit', '-reset-after', 'delta_s'),
  generic('x-ratelimit', '-reset'),
  generic('x-rate-limit', '-reset'),
];

function generic(prefix: string, reset: string, resetAs: ResetAs = 'auto'): QuotaFormat {
  const [limit, remaining] = [`${prefix}-limit`, `${prefix}-remaining`];
  return { limit, remaining, reset: `${prefix}${reset}`, resetAs };
}

/** A quota's name comes from the upstream; a longer one is cut. */
const LONGEST_NAME = 64;

/** Compiled once per route: each reply is then looked through once. */
export function quotaReader(formats: readonly QuotaFormat[]): QuotaReader {
  const wanted = new FieldNames(['ratelimit', ...formats.flatMap(headersOf)]);

  return (headers, nowWallMs) => {
    const known = knownFields(headers, wanted);
    return known.length === 0 ? undefined : read(joined(known), headers, nowWallMs);
  };

  function read(found: Fields, headers: RawHeaders, nowWallMs: number): readonly QuotaReading[] | undefined {
    const times = new Times(headers, nowWallMs);
    const readings = structured(found, headers);
    for (const format of formats) {
      const bucket = format.bucket ?? DEFAULT_BUCKET;
      const known = readings.findIndex((reading) => reading.bucket === bucket);
      // Formats of one bucket are ways to say the same: the first is heard that says when the quota is whole again.
      if (readings[known]?.resetMs !== undefined) continue;
      const reading = readingOf(format, bucket, found, times);
      if (reading === undefined) continue;
      if (known < 0) readings.push(reading);
      else if (reading.resetMs !== undefined) readings[known] = reading;
    }
    return readings.length === 0 ? undefined : readings;
  }
}

class Times implements ReplyTimes {
  readonly nowWallMs: number;
  readonly #headers: RawHeaders;

  constructor(headers: RawHeaders, nowWallMs: number) {
    this.#headers = headers;
    this.nowWallMs = nowWallMs;
  }

  /** Read only for a reset that is a moment: most are spans. */
  get sentWallMs(): number | undefined {
    return sentWallMs(this.#headers, this.nowWallMs);
  }
}

type Fields = ReadonlyMap<string, string>;

/** A reply that only says which resource it is about, or what the limit is, says nothing yet of what is left. */
const headersOf = ({ remaining, reset, limit, combined, resource }: QuotaFormat): string[] =>
  [remaining, reset, limit, combined?.header, resource].filter((name) => name !== undefined);

/** A list may come in several lines (RFC 9110 §5.3). */
function joined(known: readonly Field[]): Fields {
  const fields = new Map<string, string>();
  for (const [name, value] of known) {
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before},${value}`);
  }
  return fields;
}

/** A field of the standard, and beside it what it says about its policies. */
function structured(found: Fields, headers: RawHeaders): QuotaReading[] {
  const field = found.get('ratelimit');
  if (field === undefined) return [];
  const policies = rateLimitItems(headerOf(headers, 'ratelimit-policy') ?? '');
  const known = new Map(policies.map((item) => [item.policy, item]));
  const readings = rateLimitItems(field).map((item): QuotaReading | undefined => {
    const policy = known.get(item.policy);
    // Bytes and calls at once are limits too, but not of calls over time.
    if ((policy?.unit ?? item.unit) !== 'requests' || item.remaining === undefined) return undefined;
    const windowSeconds = policy?.windowSeconds ?? item.windowSeconds;
    return {
      bucket: DEFAULT_BUCKET,
      unit: 'calls',
      policy: item.policy.slice(0, LONGEST_NAME),
      resource: '',
      limit: policy?.quota ?? item.quota,
      remaining: item.remaining,
      resetMs: seconds(item.resetSeconds),
      windowMs: windowSeconds === 0 ? undefined : seconds(windowSeconds),
      continuous: false,
    };
  });
  return readings.filter((reading) => reading !== undefined);
}

const seconds = (value: number | undefined): number | undefined => value && value * 1000;

function readingOf(
  format: QuotaFormat,
  bucket: string,
  found: Fields,
  times: ReplyTimes,
): QuotaReading | undefined {
  const { combined, resetAs = 'auto', unit = 'calls', continuous = false } = format;
  const resource = (valueOf(found, format.resource) ?? '').trim().slice(0, LONGEST_NAME);
  const name = { bucket, unit, policy: '', resource };
  if (combined !== undefined) return leaking(combined, name, found);
  const remaining = amount(valueOf(found, format.remaining));
  if (remaining === undefined) return undefined;
  const limit = valueOf(found, format.limit);
  const reset = valueOf(found, format.reset);
  return {
    bucket,
    unit,
    policy: '',
    resource,
    limit: limitOf(limit),
    remaining,
    resetMs: reset === undefined ? undefined : resetAfterMs(reset, resetAs, times),
    windowMs: windowOf(limit),
    continuous: continuous && (limitOf(limit) ?? 0) > 0,
  };
}

/** `used/size`, of which `leakPerSecond` leaks away. */
function leaking(
  { header, leakPerSecond }: { readonly header: string; readonly leakPerSecond: number },
  name: Pick<QuotaReading, 'bucket' | 'unit' | 'policy' | 'resource'>,
  found: Fields,
): QuotaReading | undefined {
  const [used, size] = (found.get(header) ?? '').split('/').map((text) => amount(text));
  if (used === undefined || size === undefined || size === 0 || !(leakPerSecond > 0)) return undefined;
  return {
    ...name,
    limit: size,
    remaining: Math.max(0, size - used),
    resetMs: (used / leakPerSecond) * 1000,
    windowMs: (size / leakPerSecond) * 1000,
    continuous: true,
  };
}

const valueOf = (found: Fields, name: string | undefined): string | undefined =>
  name === undefined ? undefined : found.get(name);

/** A number of units, whole or not; undefined for -1 and whatever else is none. */
function amount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const whole = digits(text);
  if (whole !== undefined) return whole;
  const value = text.trim();
  return /^\d{1,15}(?:\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/** Early drafts of the standard add the window to the limit: `100, 100;w=60`. */
function limitOf(text: string | undefined): number | undefined {
  return amount(text) ?? amount(text?.split(/[,;]/, 1)[0]);
}

function windowOf(limit: string | undefined): number | undefined {
  if (limit?.includes(';') !== true) return undefined;
  const seconds = Number(/;\s*w=(\d{1,9})/.exec(limit)?.[1] ?? 0);
  return seconds === 0 ? undefined : seconds * 1000;
}
