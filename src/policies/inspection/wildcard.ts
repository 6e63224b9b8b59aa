/** Whether `value` is one of `patterns`, in which `*` stands for anything; large and small letters are the same. */
export function fits(value: string, patterns: readonly string[]): boolean {
  const text = value.toLowerCase();
  return patterns.some((pattern) => matches(text, pattern.toLowerCase()));
}

/** Part by part from the left: no pattern takes longer than its length times the text's. */
function matches(text: string, pattern: string): boolean {
  const [head = '', ...parts] = pattern.split('*');
  const tail = parts.pop();
  if (tail === undefined) return text === head;
  if (!text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let at = head.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= end;
}
