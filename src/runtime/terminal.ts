/**
 * Control characters (C0, DEL, C1), line separators, and the characters that turn the direction of writing. A terminal
 * obeys them: a text from outside could erase, forge or reorder what a person reads.
 */
// oxlint-disable-next-line no-control-regex
const OBEYED = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text in one line that a terminal only shows: what it would obey is written as `\uXXXX`. */
export function terminalText(text: string): string {
  return text.replace(OBEYED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same for a text of several lines, whose line breaks are ours. In JSON the values stay what they were. */
export function terminalLines(text: string): string {
  return text.split('\n').map(terminalText).join('\n');
}
