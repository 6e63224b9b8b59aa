import { existsSync, globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { calls } from '../../src/cli/calls.ts';
import { check } from '../../src/cli/check.ts';
import type { CommandName } from '../../src/cli/commands.ts';
import { completion } from '../../src/cli/completion.ts';
import { explain } from '../../src/cli/explain.ts';
import { health } from '../../src/cli/health.ts';
import { init } from '../../src/cli/init.ts';
import type { Command } from '../../src/cli/io.ts';
import { presets } from '../../src/cli/presets.ts';
import { requests } from '../../src/cli/requests.ts';
import { schema } from '../../src/cli/schema.ts';
import { simulate } from '../../src/cli/simulate.ts';
import { start } from '../../src/cli/start.ts';
import { breaker, quota, target } from '../../src/cli/upstream-commands.ts';
import { pages } from '../support/markdown.ts';
import { runCommand } from '../support/run-command.ts';

/* Each `breakwater …` of the documentation names a command and options that exist, and each `npm run …` and `node …` a script. */

const ALL: Readonly<Record<CommandName, Command>> = {
  init,
  start,
  check,
  explain,
  simulate,
  presets,
  requests,
  calls,
  breaker,
  quota,
  target,
  health,
  schema,
  completion,
};

const FILES = [...pages(), 'deploy/README.md', 'config.yaml', ...globSync('monitoring/*.yaml')].filter(
  (file) => file !== 'CHANGELOG.md',
);

/** A command in code, or at the start of a line of a block or a comment. */
const LINE = /(?:`|^#? *\$? *|npx |\()(?:breakwater|node src\/main\.ts) ([a-z][^`#\n]*)/gm;

const linesOf = (pattern: RegExp) =>
  FILES.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, line = '']) => [line.trim(), file] as const),
  );

const LINES = linesOf(LINE);

/** Scripts of the HTTP cache tests, which docs/cache-and-dedupe.md runs in a clone of that project. */
const ELSEWHERE = ['server', 'cli'];

const helpOf = new Map(
  await Promise.all(
    Object.entries(ALL).map(async ([name, command]) => {
      const { out } = await runCommand(command, ['--help'], { cwd: '.' });
      return [name, out] as const;
    }),
  ),
);

test('the documentation has lines of every command', () => {
  const named = new Set(LINES.map(([line]) => line.split(' ', 1).join('')));
  expect([...named].toSorted()).toEqual(Object.keys(ALL).toSorted());
});

test.each(LINES)('breakwater %s (%s)', (line) => {
  const [name = '', ...rest] = line.replace(/[[\]]/g, '').split(/\s+/);
  const help = helpOf.get(name);
  expect(help, `there is no command ${name}`).toBeDefined();
  const options = rest.filter((word) => word.startsWith('-') && word !== '-');
  expect(options.filter((option) => !new RegExp(`[ ,[]${option}\\b`).test(help ?? ''))).toEqual([]);
});

test('each script that the documentation runs exists', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const ofNpm = linesOf(/\bnpm run (?:--silent )?([\w:]+)/g);
  const files = linesOf(/\bnode ((?:[\w.-]+\/)+[\w.-]+\.[tj]s)\b/g);
  expect(ofNpm.length).toBeGreaterThan(10);
  expect(ofNpm.filter(([name]) => !(name in scripts || ELSEWHERE.includes(name)))).toEqual([]);
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter(([file]) => !file.startsWith('dist/') && !existsSync(file))).toEqual([]);
});
