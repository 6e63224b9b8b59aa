// `npm run linear`: proves that the regular expressions which meet outside text take time in proportion to it.
// The proofs take long and need a large package, so the proved expressions are stored in a list, and the test only compares.
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAst } from 'rolldown/parseAst';

const LIST = new URL('linear-expressions.txt', import.meta.url);

/** These read what an operator writes, or what was made up for a simulation. */
const OPERATORS = /^src\/(?:config|cli|simulate|presets)\//;

/** Every regular expression that may meet outside text, sorted, as it is written. */
export function expressionsInSource(): string[] {
  const files = globSync('src/**/*.ts').filter((file) => !file.endsWith('.d.ts') && !OPERATORS.test(file));
  const found = files.flatMap((file) => literalsIn(parseAst(readFileSync(file, 'utf8'), { lang: 'ts' })));
  return [...new Set(found)].sort();
}

interface Node {
  readonly regex?: unknown;
  readonly raw?: string;
  readonly callee?: { readonly name?: string } | null;
}

function literalsIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const { regex, raw, callee } = node as Node;
  if (regex !== undefined && raw !== undefined) return [raw];
  // One that is built at run time cannot be proved here.
  if (callee?.name === 'RegExp') return ['RegExp(…)'];
  return Object.values(node).flatMap(literalsIn);
}

export const provedExpressions = (): string[] =>
  readFileSync(LIST, 'utf8')
    .split('\n')
    .filter((line) => line !== '');

const PROVER = `
import { checkSync } from 'recheck';
const result = {};
for (const raw of JSON.parse(process.argv[1])) {
  const end = raw.lastIndexOf('/');
  const found = checkSync(raw.slice(1, end), raw.slice(end + 1), { checker: 'automaton', timeout: 20000 });
  result[raw] = found.status === 'safe' ? 'safe' : JSON.stringify(found.complexity ?? found.error);
}
console.log(JSON.stringify(result));`;

function prove(expressions: readonly string[]): Record<string, string> {
  const folder = join(tmpdir(), 'breakwater-recheck');
  const options = { encoding: 'utf8' as const, env: { ...process.env, RECHECK_BACKEND: 'pure' } };
  execFileSync('npm', ['install', '--prefix', folder, '--omit=optional', 'recheck@4.5.0'], options);
  const args = ['--input-type=module', '--eval', PROVER, JSON.stringify(expressions)];
  return JSON.parse(execFileSync(process.execPath, args, { ...options, cwd: folder })) as Record<
    string,
    string
  >;
}

if (import.meta.main) {
  const written = expressionsInSource();
  const proved = new Set(provedExpressions());
  const results = prove(written.filter((expression) => !proved.has(expression)));
  const failed = Object.entries(results).filter(([, result]) => result !== 'safe');
  for (const [expression, why] of failed) console.error(`${expression} is not proved to be linear: ${why}`);
  const isProved = (expression: string) => proved.has(expression) || results[expression] === 'safe';
  writeFileSync(LIST, `${written.filter(isProved).join('\n')}\n`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
