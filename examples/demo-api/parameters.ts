/** An invalid query parameter. The reply is a 400 that names it. */
export class BadParameter extends Error {
  readonly parameter: string;

  constructor(parameter: string, detail: string) {
    super(`${parameter} ${detail}`);
    this.name = 'BadParameter';
    this.parameter = parameter;
  }
}

/** A range in milliseconds, both ends included. */
export interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };
/** The longest duration: longer than every timeout in a demonstration. */
const MAX_DURATION_MS = 3_600_000;

/** `200ms`, `1.5s` or `2m`, at most an hour. */
export function durationMs(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const range = durationRange(name, text);
  if (range === undefined || range.fromMs !== range.toMs) throw badDuration(name, text, '200ms or 2s');
  return range.toMs;
}

/** `200ms`, or a range such as `0-10s` or `50ms-2s`; the first number's unit is the second's unless written. */
export function durationRange(name: string, text: string | undefined): Range | undefined {
  if (text === undefined) return undefined;
  const match = /^(?:(\d+(?:\.\d+)?)(ms|s|m)?-)?(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  if (match === null) throw badDuration(name, text, '200ms, 2s or 0-10s');
  const [, from, fromUnit, to, toUnit] = match;
  const toMs = Number(to) * (UNIT_MS[toUnit ?? ''] ?? 0);
  const fromMs = from === undefined ? toMs : Number(from) * (UNIT_MS[fromUnit ?? toUnit ?? ''] ?? 0);
  if (fromMs > toMs) throw new BadParameter(name, `"${text}" runs backwards`);
  if (toMs > MAX_DURATION_MS) throw new BadParameter(name, `"${text}" is longer than an hour`);
  return { fromMs, toMs };
}

function badDuration(name: string, text: string, example: string): BadParameter {
  return new BadParameter(name, `"${text}" is not a duration; write ${example}`);
}

/** A share as `0.3` or `30%`. */
export function share(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const [, digits, percent] = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text) ?? [];
  const value = Number(digits) / (percent === '%' ? 100 : 1);
  if (!(value >= 0 && value <= 1)) {
    throw new BadParameter(name, `"${text}" is not a share; write 0.3 or 30%, at most 1`);
  }
  return value;
}

export function integer(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new BadParameter(name, `"${text}" is not a whole number from ${min} to ${max}`);
  }
  return value;
}

export function oneOf<T extends string>(
  name: string,
  text: string | undefined,
  allowed: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new BadParameter(name, `"${text}" is none of ${allowed.join(', ')}`);
  return found;
}
