const MAX_LENGTH = 100;
const MAX_QUANTIFIERS = 2;

/**
 * What is wrong with a regular expression that is to look through texts which others write. JavaScript's engine backtracks,
 * so what could make it do so without end is not taken: back references, looking around, repeated groups, many groups
 * or many quantifiers. Together with a bound on the text's length, what is left takes microseconds, and some tenths of a
 * second where somebody has tried hard.
 */
export function expressionProblem(source: string): string | undefined {
  if (source === '') return 'is empty and would be found in everything';
  if (source.length > MAX_LENGTH) return `has ${source.length} characters; at most ${MAX_LENGTH} are taken`;
  try {
    new RegExp(source, 'u');
  } catch (error) {
    return `is no regular expression: ${error instanceof Error ? error.message : String(error)}`;
  }
  return tooMuch(bare(source));
}

/** With every escape and every class as one letter, only what steers the search is left. Back references stay visible. */
function bare(source: string): string {
  return source
    .replace(/\\(?:k<|[1-9])/g, '\u0001')
    .replace(/\\(?:[pP]\{[^}]*\}|u\{[^}]*\}|.)/gsu, 'x')
    .replace(/\[[^\]]*\]/g, 'x');
}

function tooMuch(plain: string): string | undefined {
  if (plain.includes('\u0001')) return 'refers back to a group, which can take for ever';
  if (/\(\?(?!:)/.test(plain)) return 'looks around or names a group; only plain groups are taken';
  if (/\)(?:[*+]|\{)/.test(plain)) return 'repeats a group, which can take for ever';
  const groups = plain.match(/\(/g)?.length ?? 0;
  if (groups > 1) return `has ${groups} groups; one is taken`;
  const quantifiers = plain.replace('(?:', '(').match(/[*+?]\??|\{\d+(?:,\d*)?\}\??/g)?.length ?? 0;
  if (quantifiers > MAX_QUANTIFIERS)
    return `has ${quantifiers} of * + ? {}; at most ${MAX_QUANTIFIERS} are taken`;
  return undefined;
}
