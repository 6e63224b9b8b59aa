import { digits } from './digits.ts';
import { FieldNames } from './field-names.ts';
import { headerOf, type RawHeaders } from './headers.ts';
import { sentWallMs } from './http-date.ts';
import { rateLimitItems } from './rate-limit-field.ts';
import { type ReplyTimes, type ResetAs, resetAfterMs } from './reset-value.ts';

/** The headers in which an API states one of its quotas. All names in lower case. */
export interface QuotaFormat {
  /** The name of this quota among those of the API, such as `tokens`. Default: `default`. A label of metrics. */
  readonly bucket?: string;
  /** The unit: `calls` (default), or the `cost` of a call by `quota.cost`, such as tokens of a language model. */
  readonly unit?: 'calls' | 'cost';
  readonly limit?: string;
  /** Negative (Azure's -1) means unknown. */
  readonly remaining?: string;
  readonly reset?: string;
  /** Default: `auto`. */
  readonly resetAs?: ResetAs;
  /** The quota refills continuously, and the reset is the time when it is full (OpenAI, Anthropic), not the end of a window. */
  readonly continuous?: boolean;
  /** One header with `used/size` of a leaky bucket (Shopify), instead of the four fields above. */
  readonly combined?: { readonly header: string; readonly leakPerSecond: number };
  /** The header that names the quota of a reply, if there are several of the same form (GitHub's core, search, graphql). */
  readonly resource?: string;
}

/** The state of one quota, as a reply states it. Values that are not stated are undefined. */
export interface QuotaReading {
  readonly bucket: string;
  readonly unit: 'calls' | 'cost';
  /** The policy's name in the RateLimit field, else empty. All policies apply at once. */
  readonly policy: string;
  /** The value of the `resource` header, else empty. Such a quota applies to some of the calls. */
  readonly resource: string;
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** Time from the arrival of the reply until the quota is full. */
  readonly resetMs: number | undefined;
  /** The window of `limit`. */
  readonly windowMs: number | undefined;
  /** Whether the quota refills continuously: `limit` within `windowMs`, or the missing part until the reset. Else it refills at once. */
  readonly continuous: boolean;
}

/** Reads the quotas of a reply; undefined if it states none, the usual case. */
export type QuotaReader = (headers: RawHeaders, nowWallMs: number) => readonly QuotaReading[] | undefined;

export const DEFAULT_BUCKET = 'default';

/** Formats of many APIs. The RateLimit field of the standard is always read. */
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

/** Maximum length of a quota's name, which comes from the upstream. Longer names are cut. */
const LONGEST_NAME = 64;

/** Compiles `formats` to a reader that scans the headers of a reply once. */
export function quotaReader(formats: readonly QuotaFormat[]): QuotaReader {
  const found = new FoundFields(new FieldNames(['ratelimit', ...formats.flatMap(headersOf)]));
  return (headers, nowWallMs) => (found.read(headers, nowWallMs) ? readingsOf(formats, found) : undefined);
}

function readingsOf(
  formats: readonly QuotaFormat[],
  found: FoundFields,
): readonly QuotaReading[] | undefined {
  let readings = structured(found);
  // The list is frozen, and its iterator would make an object for each format.
  for (let i = 0; i < formats.length; i++) {
    const format = formats[i] as QuotaFormat;
    const known = placeOf(format.bucket ?? DEFAULT_BUCKET, readings);
    // Formats of one bucket are alternatives. The first with a reset wins.
    if (known >= 0 && (readings?.[known]?.resetMs !== undefined || !statesReset(format, found))) continue;
    const reading = readingOf(format, found);
    if (reading !== undefined) readings = joined(readings, known, reading);
  }
  return readings;
}

/** `place`: that of the reading which `reading` replaces; negative: there is none. */
function joined(readings: QuotaReading[] | undefined, place: number, reading: QuotaReading): QuotaReading[] {
  if (readings === undefined) return [reading];
  if (place < 0) readings.push(reading);
  else if (reading.resetMs !== undefined) readings[place] = reading;
  return readings;
}

const statesReset = ({ combined, reset }: QuotaFormat, found: FoundFields): boolean =>
  combined !== undefined || found.get(reset) !== undefined;

function placeOf(bucket: string, readings: readonly QuotaReading[] | undefined): number {
  if (readings === undefined) return -1;
  for (let place = 0; place < readings.length; place++) if (readings[place]?.bucket === bucket) return place;
  return -1;
}

/**
 * The values of the wanted fields of one reply, by name in lower case. Repeated fields are joined to one list (RFC 9110 §5.3). One
 * object reads reply after reply, because most have few such fields and a map for each would cost more than their reading.
 */
class FoundFields implements ReplyTimes {
  headers: RawHeaders = [];
  nowWallMs = 0;
  readonly #wanted: FieldNames;
  readonly #names: string[] = [];
  readonly #values: string[] = [];
  #count = 0;

  constructor(wanted: FieldNames) {
    this.#wanted = wanted;
  }

  /** Replaces the fields by those of another reply. False if it has none, the usual case. */
  read(headers: RawHeaders, nowWallMs: number): boolean {
    this.headers = headers;
    this.nowWallMs = nowWallMs;
    this.#count = 0;
    for (let i = 0; i < headers.length; i += 2) {
      const name = this.#wanted.known(headers[i] as string);
      if (name !== undefined) this.#add(name, headers[i + 1] as string);
    }
    return this.#count > 0;
  }

  #add(name: string, value: string): void {
    const place = this.#placeOf(name);
    if (place < 0) {
      this.#names[this.#count] = name;
      this.#values[this.#count++] = value;
    } else this.#values[place] = `${this.#values[place]},${value}`;
  }

  /** Read only for a reset that is a point in time. Most are durations. */
  get sentWallMs(): number | undefined {
    return sentWallMs(this.headers, this.nowWallMs);
  }

  get(name: string | undefined): string | undefined {
    const place = name === undefined ? -1 : this.#placeOf(name);
    return place < 0 ? undefined : this.#values[place];
  }

  #placeOf(name: string): number {
    for (let place = 0; place < this.#count; place++) if (this.#names[place] === name) return place;
    return -1;
  }
}

/** All header names of a format. */
const headersOf = ({ remaining, reset, limit, combined, resource }: QuotaFormat): string[] =>
  [remaining, reset, limit, combined?.header, resource].filter((name) => name !== undefined);

/** Reads RateLimit, with limits and windows from RateLimit-Policy. */
function structured(found: FoundFields): QuotaReading[] | undefined {
  const field = found.get('ratelimit');
  return field === undefined ? undefined : standardReadings(field, found.headers);
}

function standardReadings(field: string, headers: RawHeaders): QuotaReading[] | undefined {
  const policies = rateLimitItems(headerOf(headers, 'ratelimit-policy') ?? '');
  const known = new Map(policies.map((item) => [item.policy, item]));
  const readings = rateLimitItems(field).map((item): QuotaReading | undefined => {
    const policy = known.get(item.policy);
    // Limits of bytes or concurrent calls are not quotas of calls over time.
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
  const valid = readings.filter((reading) => reading !== undefined);
  return valid.length === 0 ? undefined : valid;
}

const seconds = (value: number | undefined): number | undefined => value && value * 1000;

function readingOf(format: QuotaFormat, found: FoundFields): QuotaReading | undefined {
  const { bucket = DEFAULT_BUCKET, combined, resetAs = 'auto', unit = 'calls' } = format;
  if (combined !== undefined)
    return leaking(combined, { bucket, unit, policy: '', resource: resourceOf(format, found) }, found);
  const remaining = amount(found.get(format.remaining));
  if (remaining === undefined) return undefined;
  const limit = found.get(format.limit);
  const reset = found.get(format.reset);
  return {
    bucket,
    unit,
    policy: '',
    resource: resourceOf(format, found),
    limit: limitOf(limit),
    remaining,
    resetMs: reset === undefined ? undefined : resetAfterMs(reset, resetAs, found),
    windowMs: windowOf(limit),
    continuous: format.continuous === true && (limitOf(limit) ?? 0) > 0,
  };
}

function resourceOf({ resource }: QuotaFormat, found: FoundFields): string {
  return found.get(resource)?.trim().slice(0, LONGEST_NAME) ?? '';
}

/** Reads `used/size` of a leaky bucket. */
function leaking(
  { header, leakPerSecond }: { readonly header: string; readonly leakPerSecond: number },
  name: Pick<QuotaReading, 'bucket' | 'unit' | 'policy' | 'resource'>,
  found: FoundFields,
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

/** A non-negative number of units; undefined for other text, such as -1. */
function amount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const whole = digits(text);
  if (whole !== undefined) return whole;
  const value = text.trim();
  return /^\d{1,15}(?:\.\d+)?$/.test(value) ? Number(value) : undefined;
}

/** Early drafts of the standard append the window to the limit: `100, 100;w=60`. */
function limitOf(text: string | undefined): number | undefined {
  return amount(text) ?? amount(text?.split(/[,;]/, 1)[0]);
}

function windowOf(limit: string | undefined): number | undefined {
  if (limit?.includes(';') !== true) return undefined;
  const seconds = Number(/;\s*w=(\d{1,9})/.exec(limit)?.[1] ?? 0);
  return seconds === 0 ? undefined : seconds * 1000;
}
