/** A double represents every number of this many digits exactly. */
const MOST_DIGITS = 15;

/** Parses a non-negative integer of up to 15 digits, the usual number in headers; undefined for other text. */
export function digits(text: string): number | undefined {
  if (text.length === 0 || text.length > MOST_DIGITS) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}
