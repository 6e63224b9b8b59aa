/**
 * The parts of a field's value between `separator`s, as they are written and without the empty ones. A separator within
 * quotes is none (RFC 9110 §5.6.4). A quote that is never closed is a character like others. Each character is read at most
 * twice: a field comes from outside, and may hold thousands of open quotes.
 */
export function splitUnquoted(value: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let from = 0;
  let open = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at];
    if (character === '"' && !open) {
      const end = closingQuote(value, at);
      // If this one is not closed, no later one is: all of them stand behind a backslash.
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
