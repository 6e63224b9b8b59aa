/**
 * Splits a field value at `separator`, except within quotes (RFC 9110 §5.6.4). Parts are unchanged; empty ones are dropped.
 * A quote that is never closed is an ordinary character. Each character is read at most twice, because an untrusted field
 * can have thousands of open quotes.
 */
export function splitUnquoted(value: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let from = 0;
  let open = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '"' && !open) {
      const end = closingQuote(value, at);
      // If this quote is not closed, later ones are escaped, so no quote opens after it.
      if (end < 0) open = true;
      else at = end;
    } else if (character === separator) {
      if (at > from) parts.push(value.slice(from, at));
      from = at + 1;
    }
  }
  if (value.length > from) parts.push(value.slice(from));
  return parts;
}

function closingQuote(value: string, opening: number): number {
  for (let at = opening + 1; at < value.length; at++) {
    if (value[at] === '\\') at++;
    else if (value[at] === '"') return at;
  }
  return -1;
}
