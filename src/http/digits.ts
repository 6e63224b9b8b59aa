/** More digits than a double holds exactly. */
const MOST_DIGITS = 15;

/** What nearly every number in a header is: up to fifteen digits and nothing else; undefined for all else. */
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
