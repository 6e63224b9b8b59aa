import { FieldNames, isNamed } from './field-names.ts';

/**
 * A header list as on the wire: name, value, name, value … Case, order and repetitions are preserved, and values are latin1
 * strings. node:http and undici read and write this form without a copy.
 */
export type RawHeaders = readonly string[];

/** The first value of `name` (given in lower case), or undefined. */
export function headerOf(headers: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (isNamed(headers[i] as string, name)) return headers[i + 1];
  }
  return undefined;
}

/** The number of fields `name` (given in lower case). */
export function countOf(headers: RawHeaders, name: string): number {
  let count = 0;
  for (let i = 0; i < headers.length; i += 2) if (isNamed(headers[i] as string, name)) count++;
  return count;
}

const NO_VALUES: readonly string[] = [];

/** Every value of `name` (given in lower case). Allocates nothing if there are none, the usual case. */
export function headersOf(headers: RawHeaders, name: string): readonly string[] {
  let found: string[] | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (!isNamed(headers[i] as string, name)) continue;
    if (found === undefined) found = [headers[i + 1] as string];
    else found.push(headers[i + 1] as string);
  }
  return found ?? NO_VALUES;
}

/** The fields without those whose lower-case name `drops` returns true for. */
export function withoutFields(headers: RawHeaders, drops: (name: string) => boolean): string[] {
  const left: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!drops(name.toLowerCase())) left.push(name, headers[i + 1] as string);
  }
  return left;
}

/** The fields whose name (as received) `wants` accepts, as one text. A line feed, which none can contain, ends each name and value. */
export function textOfFields(headers: RawHeaders, wants: (name: string) => boolean): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2)
    if (wants(headers[i] as string)) text += `${headers[i]}\n${headers[i + 1]}\n`;
  return text;
}

/** The fields of a text that `textOfFields` has made. */
export const fieldsOfText = (text: string): RawHeaders => text.split('\n').slice(0, -1);

/** The fields with values as `change` makes them of name and value; the same list if none differs. */
export function withFieldValues(
  headers: RawHeaders,
  change: (name: string, value: string) => string,
): RawHeaders {
  let changed: string[] | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const value = change(headers[i] as string, headers[i + 1] as string);
    if (value !== headers[i + 1]) (changed ??= [...headers])[i + 1] = value;
  }
  return changed ?? headers;
}

/** Removes all fields with one of `names` (in lower case), in place. */
export function removeFields(headers: string[], names: readonly string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (names.includes((headers[i] as string).toLowerCase())) headers.splice(i, 2);
  }
}

/** One field: its name as received, and its value. */
export type Field = [name: string, value: string];

/** The fields as pairs. It allocates one per field, so code on the hot path reads the list directly. */
export function fieldPairs(headers: RawHeaders): Field[] {
  const pairs: Field[] = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i] as string, headers[i + 1] as string]);
  return pairs;
}

const NO_FIELDS: readonly Field[] = [];

/** The fields whose name is in `names`, with the name in lower case. Allocates nothing if there are none, the usual case. */
export function knownFields(headers: RawHeaders, names: FieldNames): readonly Field[] {
  let found: Field[] | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const known = names.known(headers[i] as string);
    if (known !== undefined) (found ??= []).push([known, headers[i + 1] as string]);
  }
  return found ?? NO_FIELDS;
}

/** Whether a field `name` (in lower case) contains `text`. */
export function hasListed(headers: RawHeaders, name: string, text: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (isNamed(headers[i] as string, name) && (headers[i + 1] as string).includes(text)) return true;
  }
  return false;
}

/** Fields with the token of a client. They are addressed to this proxy, and no upstream gets them. */
export const TOKEN_FIELDS = ['breakwater-token', 'proxy-authorization'] as const;

/** Fields about one connection (RFC 9110 §7.6.1), and those that intermediaries commonly treat the same way. */
const HOP_BY_HOP = new FieldNames([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  // Trailers are forwarded without announcement: node:http refuses an announcement for a body that is not chunked.
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Fields that are not forwarded. Host is set for the upstream, and the proxy answers Expect (RFC 9110 §10.1.1). */
const NOT_FORWARDED = new FieldNames([
  ...HOP_BY_HOP,
  'host',
  'expect',
  // Addressed to the proxy.
  'breakwater-attempts',
  'breakwater-timeout',
  'breakwater-fault',
  'breakwater-retry-on',
  'breakwater-idempotent',
  'breakwater-priority',
  ...TOKEN_FIELDS,
]);

export interface HeaderRules {
  /** [name, value] pairs that replace the client's fields. */
  readonly set: readonly (readonly [string, string])[];
  /** Lower-case names. */
  readonly remove: readonly string[];
}

/**
 * Fields that ask the upstream to use another method or path. They are not forwarded if there is an allow-list, which they
 * would bypass.
 */
export const OVERRIDING_HEADERS: readonly string[] = [
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
];

/** Rules in the form of the hot path: the names to drop, and the fields to add, flat. */
export interface CompiledHeaderRules {
  readonly drop: FieldNames;
  readonly add: RawHeaders;
}

/** `replaced`: lower-case names of fields that are added later, so that those of a client do not pass. */
export function compileHeaderRules(
  rules: HeaderRules,
  replaced: readonly string[] = [],
): CompiledHeaderRules {
  const set = rules.set.map(([name]) => name.toLowerCase());
  const drop = new FieldNames([...NOT_FORWARDED, ...rules.remove, ...set, ...replaced]);
  return { drop, add: rules.set.flat() };
}

/** The request headers for the upstream: the client's end-to-end fields, then the proxy's. Via is appended as a field. */
export function requestHeaders(raw: RawHeaders, rules: CompiledHeaderRules, via: string): string[] {
  const result = withoutHopByHop(raw, rules.drop);
  // TE is about one connection. Only `trailers` also applies to the next one.
  if (headerOf(raw, 'te')?.toLowerCase().includes('trailers') === true) result.push('te', 'trailers');
  for (const entry of rules.add) result.push(entry);
  result.push('via', via);
  return result;
}

/** Fields of the proxy. Those of an upstream are removed, also with `response_headers: false`. */
const OURS = [
  'breakwater-request-id',
  'breakwater-attempts',
  'breakwater-origin',
  'breakwater-gave-up',
  'breakwater-dedupe',
  'breakwater-token',
  'breakwater-target',
  'breakwater-fallback',
] as const;
const NOT_RETURNED = new FieldNames([...HOP_BY_HOP, ...OURS]);

const VIA = '1.1 breakwater';

/** The reply headers for the client. */
export function replyHeaders(raw: RawHeaders): string[] {
  const result = withoutHopByHop(raw, NOT_RETURNED);
  result.push('via', VIA);
  return result;
}

const NOT_WITHOUT_LENGTH = new FieldNames([...NOT_RETURNED, 'content-length']);

/** The same for a reply that must not have a length: an interim one, or one with status 204 (RFC 9110 §8.6). */
export function lengthlessHeaders(raw: RawHeaders): string[] {
  const result = withoutHopByHop(raw, NOT_WITHOUT_LENGTH);
  result.push('via', VIA);
  return result;
}

/** Fields for framing or routing are not valid in trailers (RFC 9110 §6.5.1), but some clients read them there. */
const NOT_IN_TRAILERS = new FieldNames([...NOT_RETURNED, 'content-length', 'host', 'set-cookie']);

/** The trailers of a reply for the client. */
export function replyTrailers(raw: RawHeaders): Field[] {
  return fieldPairs(withoutHopByHop(raw, NOT_IN_TRAILERS));
}

/**
 * Removes `drop`, which has all of HOP_BY_HOP, and the fields listed in `Connection`. Called before own fields are added, so that
 * no client removes them.
 */
function withoutHopByHop(raw: RawHeaders, drop: FieldNames): string[] {
  const left: string[] = [];
  let connections: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    const dropped = drop.known(name);
    if (dropped === undefined) left.push(name, value);
    // The usual values list no field.
    else if (dropped === 'connection' && value !== 'keep-alive' && value !== 'close')
      (connections ??= []).push(value);
  }
  if (connections === undefined) return left;
  const listed = listedIn(connections);
  return withoutFields(left, (name) => listed.has(name));
}

/** Names that `Connection` cannot remove: framing fields and its own options. */
const NEVER_LISTED: ReadonlySet<string> = new Set(['content-length', 'close', 'keep-alive', 'te']);

function listedIn(connections: readonly string[]): ReadonlySet<string> {
  const names = connections.flatMap((value) => value.split(',')).map((token) => token.trim().toLowerCase());
  return new Set(names.filter((name) => !NEVER_LISTED.has(name)));
}
