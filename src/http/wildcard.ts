/** Whether `value` is one of `patterns`, in which `*` stands for any text. Large and small letters are the same. */
export function fits(value: string, patterns: readonly string[]): boolean {
  const text = value.toLowerCase();
  return patterns.some((pattern) => fitsParts(text, pattern.toLowerCase().split('*')));
}

/**
 * Whether `text` consists of `parts` in their order, with any text between them. The first place of a part is always good
 * enough, so nothing is tried again: the time grows with the text, and not with its square.
 */
export function fitsParts(text: string, parts: readonly string[]): boolean {
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
