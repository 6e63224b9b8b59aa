#!/usr/bin/env node
// `npm run docs`: writes what the config's schema documents to where people and editors read it.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const schema = (...args) =>
  execFileSync(process.execPath, ['src/main.ts', 'schema', ...args], { encoding: 'utf8' });

writeFileSync('config.schema.json', schema());
const readme = readFileSync('README.md', 'utf8');
const [before, rest] = readme.split('<!-- keys -->\n');
const [, after] = rest.split('<!-- /keys -->\n');
writeFileSync(
  'README.md',
  `${before}<!-- keys -->\n\n${schema('--markdown').trim()}\n\n<!-- /keys -->\n${after}`,
);
