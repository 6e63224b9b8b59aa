import { isIPv6 } from '../../http/ip-address.ts';

/** A parsed value, or its problem and the fix. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** A value as it is quoted in messages. */
export function quote(found: unknown): string {
  if (found === null) return 'nothing';
  if (Array.isArray(found)) return 'a list';
  if (typeof found === 'object') return 'a map';
  return `"${String(found as string | number | boolean)}"`;
}

/** A scalar as text; '' for lists and maps. */
function textOf(found: unknown): string {
  return typeof found === 'object' ? '' : String(found as string | number | boolean).trim();
}

interface Unit {
  /** Other spellings, and the unit to write. */
  readonly aliases: Readonly<Record<string, string>>;
  readonly factors: Readonly<Record<string, number>>;
  /** The name in messages: `a duration`. */
  readonly called: string;
  readonly example: string;
  /** Two units to suggest for a bare number. */
  readonly suggest: readonly [string, string];
}

const DURATION: Unit = {
  factors: { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 },
  aliases: {
    msec: 'ms',
    millis: 'ms',
    sec: 's',
    secs: 's',
    second: 's',
    seconds: 's',
    min: 'm',
    mins: 'm',
    minute: 'm',
    minutes: 'm',
    hr: 'h',
    hour: 'h',
    hours: 'h',
    day: 'd',
    days: 'd',
  },
  called: 'a duration',
  example: '500ms, 10s, 5m, 1h or 1d',
  suggest: ['ms', 's'],
};

const SIZE: Unit = {
  factors: { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, KB: 1e3, MB: 1e6, GB: 1e9 },
  aliases: {
    b: 'B',
    byte: 'B',
    bytes: 'B',
    k: 'KiB',
    ki: 'KiB',
    kb: 'KB',
    kib: 'KiB',
    m: 'MiB',
    mi: 'MiB',
    mb: 'MB',
    mib: 'MiB',
    g: 'GiB',
    gi: 'GiB',
    gb: 'GB',
    gib: 'GiB',
  },
  called: 'a size',
  example: '512KiB, 1MiB or 2MB',
  suggest: ['KiB', 'MiB'],
};

const RATE: Unit = {
  factors: { '/s': 1, '/m': 1 / 60, '/h': 1 / 3_600, '/d': 1 / 86_400 },
  aliases: { '/sec': '/s', '/second': '/s', '/min': '/m', '/minute': '/m', '/hour': '/h', '/day': '/d' },
  called: 'a rate',
  example: '0.1/s or 100/m',
  suggest: ['/s', '/m'],
};

const NUMBER_AND_UNIT = /^(-?\d+(?:\.\d+)?)\s*(.*)$/;

/** Milliseconds. */
export const parseDuration = (found: unknown): Parsed<number> => parseUnit(found, DURATION);

/** Bytes; KiB, MiB, GiB are powers of 1024 and KB, MB, GB powers of 1000 (IEC 80000-13). */
export const parseSize = (found: unknown): Parsed<number> => parseUnit(found, SIZE);

/** Per second. */
export const parseRate = (found: unknown): Parsed<number> => parseUnit(found, RATE);

function parseUnit(found: unknown, unit: Unit): Parsed<number> {
  const text = textOf(found);
  const match = NUMBER_AND_UNIT.exec(text);
  if (match === null)
    return { problem: `${quote(found)} is not ${unit.called}; write for example ${unit.example}` };
  const [, digits = '', name = ''] = match;
  if (name === '') {
    const [first, second] = unit.suggest;
    return { problem: `"${text}" has no unit; write ${digits}${first} or ${digits}${second}` };
  }
  const factor = entry(unit.factors, name);
  if (factor === undefined) return { problem: unknownUnit(text, digits, name, unit) };
  if (digits.startsWith('-')) return { problem: `"${text}" is negative; write 0 or more` };
  return { value: factor < 1 ? Number(digits) * factor : exact(Number(digits) * factor) };
}

function unknownUnit(text: string, digits: string, name: string, unit: Unit): string {
  const lower = name.toLowerCase();
  const meant = entry(unit.aliases, lower) ?? (Object.hasOwn(unit.factors, lower) ? lower : undefined);
  if (meant !== undefined) return `"${text}": "${name}" is not a unit; write ${digits}${meant}`;
  return `"${text}" is not ${unit.called}; write for example ${unit.example}`;
}

/** Looks at own properties only: names come from the file, and `constructor` is not a unit. */
function entry<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** 1.1 s is 1100 ms, not 1100.0000000000002. */
const exact = (value: number): number => Number(value.toPrecision(12));

/** A share of 1: `80%` is 0.8. */
export function parsePercentage(found: unknown): Parsed<number> {
  const text = textOf(found);
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text);
  if (match === null) return { problem: `${quote(found)} is not a percentage; write for example 80%` };
  const number = Number(match[1]);
  if (match[2] === '') {
    return { problem: `"${text}" has no unit; write ${number <= 1 ? exact(number * 100) : number}%` };
  }
  if (number > 100) return { problem: `"${text}" is more than 100%; write at most 100%` };
  return { value: exact(number / 100) };
}

const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i;

/** `host:port`, `[ipv6]:port`; port 0 lets the system choose. */
export function parseAddress(found: unknown): Parsed<{ host: string; port: number }> {
  const text = textOf(found);
  const port = /^:?(\d+)$/.exec(text)?.[1];
  if (port !== undefined) {
    return {
      problem: `"${text}" has no host; write 127.0.0.1:${port}, or 0.0.0.0:${port} to be reachable from other machines`,
    };
  }
  const [, bracketed, name, digits = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d+)$/i.exec(text) ?? [];
  const host = bracketed ?? name ?? '';
  if (!isIPv6(host) && !HOST.test(host)) return { problem: notAnAddress(found, text) };
  if (Number(digits) > 65_535)
    return { problem: `"${text}": port ${digits} is above 65535; write a lower one` };
  return { value: { host, port: Number(digits) } };
}

function notAnAddress(found: unknown, text: string): string {
  const bare = /^([0-9a-f:]*:[0-9a-f:]*):(\d+)$/i.exec(text);
  if (bare !== null) return `"${text}": an IPv6 address needs brackets; write [${bare[1]}]:${bare[2]}`;
  return `${quote(found)} is not an address; write host:port, for example 127.0.0.1:8080 or [::1]:8080`;
}
