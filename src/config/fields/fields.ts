import type { WrittenStatus } from '../../http/status.ts';
import { type BuiltIn, type Field, field } from './field.ts';
import { formatDuration, formatSize } from './format.ts';
import {
  type Parsed,
  parseAddress,
  parseDuration,
  parsePercentage,
  parseRate,
  parseSize,
  quote,
} from './units.ts';

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Node's timers overflow beyond 2³¹−1 ms (24.8 days). */
const MAX_DURATION_MS = 24 * 86_400_000;

/** JSON Schema of a number with its unit, or of a text with `${…}`. */
const withUnit = (units: string) => ({ type: 'string', pattern: `^\\d+(\\.\\d+)?\\s*(${units})$|\\$\\{` });
const DURATION_JSON = withUnit('ms|s|m|h|d');

/** Milliseconds within `range`. */
export function duration(builtIn: string, doc: string, range: Range = {}) {
  return field({ kind: 'duration', doc, builtIn, type: 'a duration', json: DURATION_JSON }, (found) =>
    within(parseDuration(found), range),
  );
}

/** Milliseconds, or null for `off`. */
export function durationOrOff(builtIn: string, doc: string, range: Range = {}) {
  const json = { anyOf: [{ enum: ['off', 'none'] }, DURATION_JSON] };
  return field<number | null>({ kind: 'duration', doc, builtIn, type: 'a duration or off', json }, (found) =>
    isOff(found) ? { value: null } : within(parseDuration(found), range),
  );
}

/** Milliseconds, `stuck`, or null for `off`. The built-in value is `stuck`. */
export function durationOrStuck(doc: string, range: Range = {}) {
  const json = { anyOf: [{ enum: ['stuck', 'off', 'none'] }, DURATION_JSON] };
  const about = { kind: 'duration', doc, builtIn: 'stuck', type: 'a duration, stuck or off', json } as const;
  return field<number | 'stuck' | null>(about, (found) => {
    if (found === 'stuck') return { value: found };
    return isOff(found) ? { value: null } : within(parseDuration(found), range);
  });
}

/** A list of milliseconds. */
export function durations(builtIn: BuiltIn & readonly string[], doc: string) {
  const json = { type: 'array', items: DURATION_JSON };
  return field({ kind: 'duration', doc, builtIn, type: 'a list of durations', json }, (found) =>
    each(found, 'a list such as [100ms, 1s, 5s]', (item) => within(parseDuration(item), {})),
  );
}

function within(parsed: Parsed<number>, { min = 0, max = MAX_DURATION_MS }: Range): Parsed<number> {
  if ('problem' in parsed || (parsed.value >= min && parsed.value <= max)) return parsed;
  const found = formatDuration(parsed.value);
  if (parsed.value < min)
    return { problem: `"${found}" is too short; write at least ${formatDuration(min)}` };
  return { problem: `"${found}" is too long; write at most ${formatDuration(max)}` };
}

/** Bytes, up to `max`. */
export function size(builtIn: string, doc: string, max: number) {
  const json = withUnit('B|KiB|MiB|GiB|KB|MB|GB');
  return field({ kind: 'size', doc, builtIn, type: 'a size', json }, (found) => {
    const parsed = parseSize(found);
    if ('problem' in parsed || parsed.value <= max) return parsed;
    return { problem: `"${String(found)}" is too large; write at most ${formatSize(max)}` };
  });
}

/** Per second. */
export function rate(builtIn: string, doc: string) {
  return field({ kind: 'rate', doc, builtIn, type: 'a rate', json: withUnit('/[smhd]') }, parseRate);
}

/** A share of 1, above 0. `zero`: why it cannot be 0, and what to write. */
export function percentage(
  builtIn: string,
  doc: string,
  zero: string = 'is always reached; write more than 0%',
) {
  return field({ kind: 'percentage', doc, builtIn, type: 'a percentage', json: withUnit('%') }, (found) => {
    const parsed = parsePercentage(found);
    return 'value' in parsed && parsed.value === 0 ? { problem: `"0%" ${zero}` } : parsed;
  });
}

/** A share of 1, between 0 and 1, or null for `off`. */
export function percentageOrOff(builtIn: string, doc: string) {
  const json = { anyOf: [{ enum: ['off', 'none'] }, withUnit('%')] };
  const type = 'a percentage or off';
  return field<number | null>({ kind: 'percentage', doc, builtIn, type, json }, (found) => {
    if (isOff(found)) return { value: null };
    const parsed = parsePercentage(found);
    const outside = 'value' in parsed && (parsed.value === 0 || parsed.value === 1);
    return outside ? { problem: `${quote(found)} is not between 0% and 100%` } : parsed;
  });
}

export function integer(builtIn: number, doc: string, min: number, max: number) {
  const type = `a whole number from ${min} to ${max}`;
  const json = { type: ['integer', 'string'], minimum: min, maximum: max, pattern: '^\\d+$|\\$\\{' };
  return field({ kind: 'other', doc, builtIn, type, json }, (found) => {
    const parsed = parseNumber(found, min, max, type);
    return 'value' in parsed && !Number.isInteger(parsed.value)
      ? { problem: `${quote(found)} is not ${type}` }
      : parsed;
  });
}

/** A word that may be written in place of a number. */
interface Word {
  readonly shown: string;
  readonly all: readonly string[];
  readonly fits: (found: unknown) => boolean;
}

const OFF: Word = { shown: 'off', all: ['off', 'none'], fits: (found) => isOff(found) };
const ADAPTIVE: Word = { shown: 'adaptive', all: ['adaptive'], fits: (found) => found === 'adaptive' };

/** A whole number, or null for `off`. */
export const integerOrOff = (builtIn: number | 'off', doc: string, min: number, max: number) =>
  integerOr(OFF, { builtIn, doc }, min, max);

/** A whole number, or null for `adaptive`, the built-in value. */
export const integerOrAdaptive = (doc: string, min: number, max: number) =>
  integerOr(ADAPTIVE, { builtIn: 'adaptive', doc }, min, max);

function integerOr(word: Word, about: Pick<Field, 'builtIn' | 'doc'>, min: number, max: number) {
  const type = `a whole number from ${min} to ${max}, or ${word.shown}`;
  const number = { type: ['integer', 'string'], minimum: min, maximum: max, pattern: '^\\d+$|\\$\\{' };
  const json = { anyOf: [{ enum: word.all }, number] };
  return field<number | null>({ ...about, kind: 'other', type, nullWord: word.shown, json }, (found) => {
    if (word.fits(found)) return { value: null };
    const parsed = parseNumber(found, min, max, type);
    return 'value' in parsed && !Number.isInteger(parsed.value)
      ? { problem: `${quote(found)} is not ${type}` }
      : parsed;
  });
}

export function decimal(builtIn: number | undefined, doc: string, min: number, max: number) {
  const type = `a number from ${min} to ${max}`;
  const json = { type: ['number', 'string'], minimum: min, maximum: max, pattern: '^\\d+(\\.\\d+)?$|\\$\\{' };
  return field({ kind: 'other', doc, builtIn, type, json }, (found) => parseNumber(found, min, max, type));
}

/** Accepts digits in quotes too: `${NAME}` gives a text. */
function parseNumber(found: unknown, min: number, max: number, type: string): Parsed<number> {
  const number = typeof found === 'string' && /^-?\d+(\.\d+)?$/.test(found.trim()) ? Number(found) : found;
  const fits = typeof number === 'number' && number >= min && number <= max;
  return fits ? { value: number } : { problem: `${quote(found)} is not ${type}` };
}

/** One of some words. */
export function choice<const W extends string>(words: readonly W[], builtIn: W | undefined, doc: string) {
  const json = { enum: [...words] };
  return field<W>({ kind: 'other', doc, builtIn, type: words.join(', '), json }, (found) => {
    const word = words.find((candidate) => candidate === found);
    if (word !== undefined) return { value: word };
    return { problem: `${quote(found)} is not one of ${words.join(', ')}` };
  });
}

export function flag(builtIn: boolean | undefined, doc: string) {
  const json = { anyOf: [{ type: 'boolean' }, { type: 'string', pattern: '^(true|false)$|\\$\\{' }] };
  return field<boolean>({ kind: 'other', doc, builtIn, type: 'true or false', json }, (found) => {
    if (found === true || found === 'true') return { value: true };
    if (found === false || found === 'false') return { value: false };
    return { problem: `${quote(found)} is not true or false` };
  });
}

/** Gives the problem of a text, or undefined if it is valid. */
export type Check = (found: string) => string | undefined;

export function text(builtIn: string | undefined, doc: string, check?: Check) {
  return field({ kind: 'other', doc, builtIn, type: 'text', json: { type: 'string' } }, (found) =>
    parseText(found, check),
  );
}

/** Numbers are refused: YAML reads 007 as 7 and 1.10 as 1.1. */
function parseText(found: unknown, check: Check | undefined): Parsed<string> {
  if (typeof found === 'object') return { problem: `${quote(found)} is not text` };
  if (typeof found !== 'string') return { problem: `${quote(found)} is not text; write it in quotes` };
  const problem = check?.(found);
  return problem === undefined ? { value: found } : { problem };
}

/** A list of text, or a single one. */
export function texts(doc: string, check?: Check, builtIn?: readonly string[]) {
  const json = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };
  return field({ kind: 'other', doc, builtIn, type: 'text or a list', json }, (found) =>
    parseTexts(found, check),
  );
}

/** A list of text, or a single one. */
export function parseTexts(found: unknown, check: Check | undefined): Parsed<string[]> {
  return each(typeof found === 'object' ? found : [found], 'text or a list', (item) =>
    parseText(item, check),
  );
}

/** Error statuses of HTTP, and `5xx` for all server errors that can pass. */
export function statuses(builtIn: readonly WrittenStatus[], doc: string) {
  const json = {
    type: 'array',
    items: { anyOf: [{ type: 'integer', minimum: 400, maximum: 599 }, { const: '5xx' }] },
  };
  return field({ kind: 'other', doc, builtIn, type: 'a list of statuses, or 5xx', json }, (found) =>
    each(
      found,
      'a list such as [429, 5xx]',
      (item): Parsed<WrittenStatus> => (item === '5xx' ? { value: item } : parseStatus(item, 400)),
    ),
  );
}

/** Statuses that a reply may have: one, or a list. */
export function replyStatuses(doc: string) {
  const json = { anyOf: [{ type: 'integer' }, { type: 'array', items: { type: 'integer' } }] };
  return field({ kind: 'other', doc, builtIn: undefined, type: 'a status or a list', json }, (found) =>
    each(Array.isArray(found) ? found : [found], 'a status or a list', (item) => parseStatus(item, 200)),
  );
}

function parseStatus(found: unknown, from: 200 | 400): Parsed<number> {
  const known = typeof found === 'number' && Number.isInteger(found) && found >= from && found <= 599;
  return known ? { value: found } : { problem: `${quote(found)} is not a status from ${from} to 599` };
}

/** A list of some words. */
export function words<const W extends string>(known: readonly W[], builtIn: readonly W[], doc: string) {
  const json = { type: 'array', items: { enum: [...known] } };
  return field<W[]>({ kind: 'other', doc, builtIn, type: `a list of ${known.join(', ')}`, json }, (found) =>
    each(found, `a list such as [${known.slice(0, 2).join(', ')}]`, (item) => {
      const word = known.find((candidate) => candidate === item);
      return word === undefined
        ? { problem: `${quote(item)} is not one of ${known.join(', ')}` }
        : { value: word };
    }),
  );
}

/** Where to listen. */
export function address(builtIn: string, doc: string) {
  return field({ kind: 'other', doc, builtIn, type: 'host:port', json: { type: 'string' } }, parseAddress);
}

/** Where to listen, or null for `off`. */
export function addressOrOff(builtIn: string, doc: string) {
  const about = { kind: 'other', doc, builtIn, type: 'host:port or off', json: { type: 'string' } } as const;
  return field<{ host: string; port: number } | null>(about, (found) =>
    isOff(found) ? { value: null } : parseAddress(found),
  );
}

/** Reads every item by `parse`. The problem names all wrong items. */
export function each<T>(found: unknown, wanted: string, parse: (item: unknown) => Parsed<T>): Parsed<T[]> {
  if (!Array.isArray(found)) return { problem: `${quote(found)} is not a list; write ${wanted}` };
  const parsed = found.map(parse);
  const problems = new Set(parsed.flatMap((one) => ('problem' in one ? [one.problem] : [])));
  if (problems.size > 0) return { problem: [...problems].join('; ') };
  return { value: parsed.flatMap((one) => ('value' in one ? [one.value] : [])) };
}

/** True for `off`, `none` and `false`: `off` was a boolean in YAML 1.1. */
export const isOff = (found: unknown): boolean => found === 'off' || found === 'none' || found === false;
