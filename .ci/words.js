#!/usr/bin/env node
// `node .ci/words.js`: keeps words out of code, tests and documentation that a reader whose first language is not English
// would have to look up or guess. It prints each place with a better word, and exits with 1 if there is any.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const CHECKED = [
  '.ci',
  'CHANGELOG.md',
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'bench',
  'config.yaml',
  'deploy',
  'docs',
  'examples',
  'monitoring',
  'src',
  'test',
];

/**
 * A pattern, and what to write instead.
 *
 * @type {readonly (readonly [RegExp, string])[]}
 */
const WORDS = [
  // A quoted 'nobody' is a value: the user of that name, for example.
  [/(?<!['"])\bnobody('s|’s)?\b(?!['"])/i, 'no client, no caller, nothing: name the subject'],
  [/\bwho(m)?(so)?ever\b/i, 'a client that …, every client: name the subject'],
  [/\bin vain\b/i, 'without success'],
  [/\banew\b/i, 'again'],
  [/\bbesides?\b/i, 'next to, with, in addition to, other than'],
  [/\bfares?d?\b/i, 'behaves, succeeds, fails'],
  // Identifiers of this name are fine: the next character shows them.
  [/(?<!\.)\btold\b(?!\s*[:.,;()=[\]{}<>]|$)/i, 'reported, notified, said, known: which one it is'],
  [/\b(tells?|told|telling|keeps?|kept) (\w+ ){0,3}apart\b/i, 'distinguishes, separates'],
  [/\ball the same\b/i, 'still'],
  [/\bmanieth\b/i, 'the number of'],
  [/\bwithout a word\b/i, 'without a reason, without Retry-After: what is missing'],
  [/\bfor good measure\b/i, 'leave it out'],
  [/\bof its own accord\b/i, 'by itself'],
  [
    /\b(amidst|betwixt|henceforth|hitherto|lest|naught|thereof|therein|whence|wherein|whilst|whither)\b/i,
    'a modern word',
  ],
];

const COMMENT = /(?:\/\*\*?|\/\/|^\s*\*|^\s*#|<!--)\s+/;

/** A comment names its subject first. */
const COMMENT_STARTS = [
  [new RegExp(`${COMMENT.source}What\\b`, 'm'), 'begin with a noun: "The reply that …", "Bytes after …"'],
  [new RegExp(`${COMMENT.source}Who(m|se)?\\b`, 'm'), 'begin with a noun: "A client that …"'],
];

const CODE = /\.(?:[cm]?[jt]s|yaml)$/;
const TEXT = /\.(?:[cm]?[jt]s|css|html|md|yaml)$/;

/**
 * Every place in a text that has one of the words.
 *
 * @param {string} file
 * @param {string} text
 * @returns {string[]} `file:line  "word": better word`
 */
export function findings(file, text) {
  const rules = CODE.test(file) ? [...WORDS, ...COMMENT_STARTS] : WORDS;
  return text.split('\n').flatMap((line, index) =>
    rules.flatMap(([pattern, better]) => {
      const found = /** @type {RegExp} */ (pattern).exec(line)?.[0].trim();
      return found === undefined ? [] : [`${file}:${index + 1}  "${found}": write ${better}`];
    }),
  );
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesIn(path) {
  if (path === '.ci/words.js') return [];
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') return TEXT.test(path) ? [path] : [];
    throw error;
  }
  return entries.flatMap(({ name }) => (name === 'node_modules' ? [] : filesIn(join(path, name))));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const found = CHECKED.flatMap(filesIn).flatMap((file) => findings(file, readFileSync(file, 'utf8')));
  for (const line of found) process.stderr.write(`${line}\n`);
  if (found.length > 0) process.exitCode = 1;
}
