import { isNamed } from '../http/field-names.ts';

/** Node's undocumented latin1 decoder. `toString('latin1')` calls it and takes twice as long. */
type Latin1 = Buffer & { latin1Slice(): string };

const decoded = (bytes: Buffer): string => (bytes as Latin1).latin1Slice();

/** A power of two. */
const SLOTS = 512;

/** Longer names are not remembered. So all slots together hold at most 32 KB of names, and their bytes, whatever upstreams send. */
const LONGEST = 64;

interface Name {
  /** A copy, because those of a reply are a part of its packet. */
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** The names of earlier replies. Replies repeat them, and comparing bytes costs less than a new string. A collision replaces a name. */
const slots: (Name | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

function nameOf(bytes: Buffer): string {
  const { length } = bytes;
  if (length > LONGEST || length === 0) return decoded(bytes);
  const middle = bytes[length >> 1] as number;
  const slot = (length * 31 + (bytes[0] as number) * 7 + middle * 13 + (bytes[length - 1] as number)) % SLOTS;
  const known = slots[slot];
  if (known !== undefined && isSame(known.bytes, bytes)) return known.text;
  const text = decoded(bytes);
  slots[slot] = { bytes: new Uint8Array(bytes), text };
  return text;
}

function isSame(known: Uint8Array, bytes: Uint8Array): boolean {
  if (known.length !== bytes.length) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[i]) return false;
  return true;
}

const SPACE = 32;
const TAB = 9;

/**
 * Without whitespace at its end, which is not part of a value (RFC 9110 §5.5). undici removes only that at the beginning, and does not
 * take a transfer coding with whitespace for chunked: so that one stays as it is, and is refused.
 */
function trimmed(value: string, name: string): string {
  let end = value.length;
  while (end > 0 && isSpace(value.charCodeAt(end - 1))) end--;
  return end === value.length || isNamed(name, 'transfer-encoding') ? value : value.slice(0, end);
}

const isSpace = (code: number): boolean => code === SPACE || code === TAB;

/** The fields of undici's list, which has a Buffer per name and value. Bytes are latin1. */
export function wireFields(raw: readonly Buffer[]): string[] {
  const fields: (Buffer | string)[] = raw.slice();
  for (let i = 0; i < raw.length; i += 2) {
    const name = nameOf(raw[i] as Buffer);
    fields[i] = name;
    fields[i + 1] = trimmed(decoded(raw[i + 1] as Buffer), name);
  }
  return fields as string[];
}
