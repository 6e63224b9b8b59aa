/**
 * Control characters (C0, DEL, C1), line separators, and characters that change the direction of text. A terminal obeys them,
 * so a text from outside could erase, forge or reorder the output.
 */
// oxlint-disable-next-line no-control-regex
const OBEYED = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text as one line that is safe for a terminal: control characters become `\uXXXX`. */
export function terminalText(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for a text of several lines, whose line breaks stay. JSON stays equal JSON. */
export function terminalLines(text: string): string {
  return text.split('\n').map(terminalText).join('\n');
}
