import type { RawHeaders } from '../http/headers.ts';

/** Node's undocumented latin1 decoder. `toString('latin1')` calls it and takes twice as long. */
type Latin1 = Buffer & { latin1Slice(): string };

/** A field name as received, and in lower case. */
interface FieldName {
  readonly wire: string;
  readonly lower: string;
}

/** A power of two. */
const SLOTS = 512;

/** Longer names are not remembered. So all slots together hold at most 64 KB of names, whatever upstreams send. */
const LONGEST = 64;

/** The names of earlier replies. Replies repeat them, and comparing bytes costs less than a new string. A collision replaces a name. */
const slots: (FieldName | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

function nameOf(bytes: Buffer): FieldName {
  const { length } = bytes;
  if (length > LONGEST || length === 0) return decodedName(bytes);
  const middle = bytes[length >> 1] as number;
  const slot = (length * 31 + (bytes[0] as number) * 7 + middle * 13 + (bytes[length - 1] as number)) % SLOTS;
  const known = slots[slot];
  if (known !== undefined && isSame(known.wire, bytes)) return known;
  return (slots[slot] = decodedName(bytes));
}

function isSame(name: string, bytes: Buffer): boolean {
  if (name.length !== bytes.length) return false;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== bytes[i]) return false;
  return true;
}

function decodedName(bytes: Buffer): FieldName {
  const wire = (bytes as Latin1).latin1Slice();
  return { wire, lower: wire.toLowerCase() };
}

const SPACE = 32;
const TAB = 9;

/**
 * Without whitespace at its end, which is not part of a value (RFC 9110 §5.5). undici removes only that at the beginning, and does not
 * take a transfer coding with whitespace for chunked: so that one stays as it is, and is refused.
 */
function trimmed(name: string, value: string): string {
  let end = value.length;
  while (end > 0 && isSpace(value.charCodeAt(end - 1))) end--;
  return end === value.length || name === 'transfer-encoding' ? value : value.slice(0, end);
}

const isSpace = (code: number): boolean => code === SPACE || code === TAB;

/**
 * The fields of undici's header list, which has a Buffer per name and value over HTTP/1.1, and strings over HTTP/2. Bytes are
 * latin1. `parsed`: undici's own object of the same fields by lower-case name, whose values need no second string.
 */
export function wireFields(
  raw: readonly (Buffer | string)[],
  parsed: Readonly<Record<string, unknown>>,
): RawHeaders {
  const fields = raw.slice() as string[];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i];
    const value = raw[i + 1];
    if (typeof name === 'string' || typeof value === 'string') continue;
    const { wire, lower } = nameOf(name as Buffer);
    const known = parsed[lower];
    fields[i] = wire;
    // The values of a field that is repeated are a list.
    fields[i + 1] = trimmed(lower, typeof known === 'string' ? known : (value as Latin1).latin1Slice());
  }
  return fields;
}
