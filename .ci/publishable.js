#!/usr/bin/env node
// Runs before `npm publish`: refuses a package with a placeholder where the owner's address belongs, or whose version is not in the CHANGELOG.
import { readFileSync } from 'node:fs';

const { version, homepage, repository, bugs } = JSON.parse(readFileSync('package.json', 'utf8'));
const [, contact = ''] = readFileSync('SECURITY.md', 'utf8').match(/<(\S+@\S+)>/) ?? [];

/** Every address that only the owner of the repository can give, with its host. docs/releasing.md lists them. */
const addresses = {
  'package.json: homepage': [homepage, URL.parse(homepage)?.hostname],
  'package.json: repository.url': [repository.url, URL.parse(repository.url)?.hostname],
  'package.json: bugs.url': [bugs.url, URL.parse(bugs.url)?.hostname],
  'SECURITY.md: the contact': [contact, contact.split('@')[1]],
};

/** Names that end in .example belong to no one, and HOST of docs/releasing.md has no dot. */
const isPlaceholder = (host = '') => !host.includes('.') || host.endsWith('.example');

const problems = Object.entries(addresses)
  .filter(([, [, host]]) => isPlaceholder(host))
  .map(
    ([place, [address]]) =>
      `${place} is the placeholder "${address}". Write your own: see docs/releasing.md.`,
  );
if (!readFileSync('CHANGELOG.md', 'utf8').includes(`\n## [${version}] - `))
  problems.push(`CHANGELOG.md: there is no "## [${version}] - date". Name the changes of this version.`);
for (const problem of problems) process.stderr.write(`${problem}\n`);
if (problems.length > 0) process.exitCode = 1;
