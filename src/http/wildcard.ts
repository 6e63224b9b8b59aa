/** Whether `value` matches one of `patterns`, in which `*` matches any text. Case is ignored. */
export function matchesAny(value: string, patterns: readonly string[]): boolean {
  const text = value.toLowerCase();
  return patterns.some((pattern) => matchesParts(text, pattern.toLowerCase().split('*')));
}

/**
 * Whether `text` consists of `parts` in order, with any text between them. The first occurrence of a part always suffices,
 * so there is no backtracking, and the time is linear.
 */
export function matchesParts(text: string, parts: readonly string[]): boolean {
  const head = parts[0] ?? '';
  const last = parts.length - 1;
  if (last <= 0) return text === head;
  const tail = parts[last] as string;
  if (!text.startsWith(head) || !text.endsWith(tail)) return false;
  let at = head.length;
  for (let i = 1; i < last; i++) {
    const part = parts[i] as string;
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - tail.length;
}
