#!/usr/bin/env node
// Runs before `npm publish`: refuses a package whose addresses are placeholders, or whose version is not in the CHANGELOG.
import { readFileSync } from 'node:fs';

const { version, homepage, repository, bugs } = JSON.parse(readFileSync('package.json', 'utf8'));
const problems = Object.entries({ homepage, repository: repository.url, bugs: bugs.url })
  .filter(([, url]) => /\.example(\/|$)/.test(url))
  .map(
    ([key, url]) => `package.json: ${key} is the placeholder ${url}. Write the address of your repository.`,
  );
if (!readFileSync('CHANGELOG.md', 'utf8').includes(`\n## [${version}] - `))
  problems.push(`CHANGELOG.md: there is no "## [${version}] - date". Name the changes of this version.`);
for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0) process.exitCode = 1;
