import { FieldNames } from './field-names.ts';

/**
 * A header list as it stands on the wire: name, value, name, value … Names keep their case, order and
 * repetitions stay, values are latin1 strings. Both node:http and undici read and write this form without a copy.
 */
export type RawHeaders = readonly string[];

/** The first value of `name` (given in lower case), or undefined. */
export function headerOf(headers: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length === name.length && candidate.toLowerCase() === name) return headers[i + 1];
  }
  return undefined;
}

/** Every value of `name` (given in lower case). */
export function headersOf(headers: RawHeaders, name: string): string[] {
  return headers.filter((_, i) => i % 2 === 1 && headers[i - 1]?.toLowerCase() === name);
}

/** The fields without those that `drops`, asked by lower-case name, refuses. */
export function withoutFields(headers: RawHeaders, drops: (name: string) => boolean): string[] {
  const left: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!drops(name.toLowerCase())) left.push(name, headers[i + 1] as string);
  }
  return left;
}

/** Removes every field that one of `names` (given in lower case) names, in place. */
export function removeFields(headers: string[], names: readonly string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (names.includes((headers[i] as string).toLowerCase())) headers.splice(i, 2);
  }
}

/** One field: its name as it came, and its value. */
export type Field = [name: string, value: string];

/** The fields one by one. It allocates a pair for each, so code that runs for every call reads the list itself. */
export function fieldPairs(headers: RawHeaders): Field[] {
  const pairs: Field[] = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i] as string, headers[i + 1] as string]);
  return pairs;
}

const NO_FIELDS: readonly Field[] = [];

/** The fields that `names` holds, each with its name in lower case. Allocates nothing if there are none, as in most messages. */
export function knownFields(headers: RawHeaders, names: FieldNames): readonly Field[] {
  let found: Field[] | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const known = names.known(headers[i] as string);
    if (known !== undefined) (found ??= []).push([known, headers[i + 1] as string]);
  }
  return found ?? NO_FIELDS;
}

/** Whether any of the fields called `name` (given in lower case) holds `text`. */
export function hasListed(headers: RawHeaders, name: string, text: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const candidate = headers[i] as string;
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue;
    if ((headers[i + 1] as string).includes(text)) return true;
  }
  return false;
}

/** Fields that speak of one connection only (RFC 9110 §7.6.1, plus those that intermediaries are known to treat so). */
const HOP_BY_HOP = new FieldNames([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  // Trailers are forwarded unannounced: node:http refuses to announce any where it does not send the body in chunks.
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Host is the upstream's own, Expect is answered by us (RFC 9110 §10.1.1). */
const NOT_FORWARDED = new FieldNames([
  ...HOP_BY_HOP,
  'host',
  'expect',
  // Said to us, and obeyed or not.
  'breakwater-attempts',
  'breakwater-timeout',
  'breakwater-retry-on',
  'breakwater-idempotent',
]);

export interface HeaderRules {
  /** [name, value] pairs; they replace the client's. */
  readonly set: readonly (readonly [string, string])[];
  /** Lower-case names. */
  readonly remove: readonly string[];
}

/**
 * Fields by which a client may ask the upstream to take the request for another one than its method and path say. Where
 * there is an allow-list they are not passed on, or they would be a way around it.
 */
export const OVERRIDING_HEADERS: readonly string[] = [
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
];

/** Rules as the data path wants them: what to drop by name, and what to add, flat. */
export interface CompiledHeaderRules {
  readonly drop: FieldNames;
  readonly add: RawHeaders;
}

export function compileHeaderRules(rules: HeaderRules): CompiledHeaderRules {
  const set = rules.set.map(([name]) => name.toLowerCase());
  return { drop: new FieldNames([...NOT_FORWARDED, ...rules.remove, ...set]), add: rules.set.flat() };
}

/** The client's fields as the upstream gets them: end-to-end fields, then ours; Via is appended, never merged. */
export function requestHeaders(raw: RawHeaders, rules: CompiledHeaderRules, via: string): string[] {
  const kept = withoutHopByHop(raw, rules.drop);
  // Whether the client takes trailers is ours to say on the next hop; everything else in TE is about this one.
  if (headerOf(raw, 'te')?.toLowerCase().includes('trailers') === true) kept.push('te', 'trailers');
  for (const entry of rules.add) kept.push(entry);
  kept.push('via', via);
  return kept;
}

/** What only we can say of a call, `response_headers: true` or not. */
const OURS = ['breakwater-attempts', 'breakwater-origin', 'breakwater-gave-up', 'breakwater-dedupe'] as const;
const NOT_RETURNED = new FieldNames([...HOP_BY_HOP, ...OURS]);

const VIA = '1.1 breakwater';

/** The upstream's fields as the client gets them. */
export function replyHeaders(raw: RawHeaders): string[] {
  const kept = withoutHopByHop(raw, NOT_RETURNED);
  kept.push('via', VIA);
  return kept;
}

/** RFC 9110 §8.6: an interim reply has no length. */
const NOT_IN_INTERIM = new FieldNames([...NOT_RETURNED, 'content-length']);

/** The fields of an interim reply as the client gets them. */
export function interimHeaders(raw: RawHeaders): string[] {
  const kept = withoutHopByHop(raw, NOT_IN_INTERIM);
  kept.push('via', VIA);
  return kept;
}

/** Fields that frame or route a message mean nothing behind it, and are read by some all the same (RFC 9110 §6.5.1). */
const NOT_IN_TRAILERS = new FieldNames([...NOT_RETURNED, 'content-length', 'host', 'set-cookie']);

/** What the upstream sent behind its body, as the client gets it. */
export function replyTrailers(raw: RawHeaders): Field[] {
  return fieldPairs(withoutHopByHop(raw, NOT_IN_TRAILERS));
}

/** Drops `drop` and whatever `Connection` lists, before anything of ours is added (a client must not strip our fields). */
function withoutHopByHop(raw: RawHeaders, drop: FieldNames): string[] {
  const listed = connectionListed(raw);
  const kept: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (drop.known(name) !== undefined || listed?.has(name.toLowerCase()) === true) continue;
    kept.push(name, raw[i + 1] as string);
  }
  return kept;
}

/** Framing is not the sender's to take away, whatever `Connection` lists. */
const NEVER_LISTED: ReadonlySet<string> = new Set(['content-length', 'close', 'keep-alive', 'te']);

function connectionListed(raw: RawHeaders): ReadonlySet<string> | undefined {
  let listed: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.length !== 10 || raw[i]?.toLowerCase() !== 'connection') continue;
    const value = raw[i + 1] as string;
    // What nearly everyone sends lists no field.
    if (value !== 'keep-alive' && value !== 'close') addListed(value, (listed ??= new Set()));
  }
  return listed;
}

function addListed(value: string, listed: Set<string>): void {
  for (const token of value.split(',')) {
    const name = token.trim().toLowerCase();
    if (name !== '' && !NEVER_LISTED.has(name)) listed.add(name);
  }
}
