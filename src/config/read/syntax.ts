import type { YAMLError } from 'yaml';

/** The meaning of each syntax error of the YAML library, with the fix. */
const MEANINGS: Readonly<Partial<Record<YAMLError['code'], string>>> = {
  BAD_DQ_ESCAPE: 'this backslash begins no escape; write two backslashes, or single quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " on this line; write the value in quotes, or on lines of its own',
  DUPLICATE_KEY: 'this key is written twice; remove one',
  MULTIPLE_DOCS: 'a second YAML document starts here; write only one',
  MULTILINE_IMPLICIT_KEY:
    'this line is neither "key: value" nor an item of a list; write a colon and a space after the key',
  TAB_AS_INDENT: 'a tab cannot indent; write spaces',
  TAG_RESOLVE_FAILED: 'unknown tag; write the value in quotes if it begins with !',
};

/** A syntax error in our words, with the fix. `line` is the text of the line with the error. */
export function syntaxProblem({ code, message }: Pick<YAMLError, 'code' | 'message'>, line: string): string {
  const meaning = MEANINGS[code];
  if (meaning !== undefined) return meaning;
  if (/[:[{,-]\s*\$?\{[^}]*\}\S/.test(line) || /[[{,:]\s*\$\{/.test(line))
    return 'a value with { } is not in quotes; quote it: "${NAME}", "{name}.example.com"';
  if (code === 'BAD_INDENT') return badIndent(message);
  if (code === 'BAD_SCALAR_START') return 'a value cannot begin with this character; write it in quotes';
  if (code === 'MISSING_CHAR') return missing(message);
  if (code === 'UNEXPECTED_TOKEN') return unexpected(message);
  return message;
}

function badIndent(message: string): string {
  const [, kind, end] = /^Flow (map|sequence) .* end with a (.)$/.exec(message) ?? [];
  if (end === undefined) return 'this line is not indented like the other keys of its section; align them';
  return `${kind === 'map' ? 'a { } map' : 'a [ ] list'} is not closed; write ${end} at its end`;
}

function missing(message: string): string {
  if (message.includes('quote')) return 'a quote is not closed; write it at the end of the value';
  return 'a key without a value; write a colon and a space after it';
}

function unexpected(message: string): string {
  const [, token] = /"(.)"$/.exec(message) ?? [];
  if (token !== undefined) return `${token} closes nothing; remove it, or write the value in quotes`;
  return 'more text after the end of a value; write the whole value in quotes, or begin a new line';
}
