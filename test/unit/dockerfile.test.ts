import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Step {
  readonly word: string;
  readonly rest: string;
}

/** The steps of the Dockerfile, by stage; the first list has those before any stage. */
function stages(): readonly (readonly Step[])[] {
  const text = readFileSync('Dockerfile', 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ');
  const steps = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ({ word: line.split(' ')[0] ?? '', rest: line.replace(/^\S+\s+/, '') }));
  const all: Step[][] = [[]];
  for (const step of steps) {
    if (step.word === 'FROM') all.push([]);
    all.at(-1)?.push(step);
  }
  return all;
}

const [before = [], build = [], final = []] = stages();
const rests = (steps: readonly Step[], word: string) =>
  steps.filter((step) => step.word === word).map(({ rest }) => rest);

test('the last stage runs nothing, so its image needs no shell', () => {
  expect(rests(final, 'RUN')).toEqual([]);
  const commands = [...rests(final, 'ENTRYPOINT'), ...rests(final, 'CMD'), ...rests(final, 'HEALTHCHECK')];
  expect(commands).toHaveLength(3);
  for (const command of commands) expect(command.slice(command.indexOf('['))).toMatch(/^\[".*"\]$/);
});

test('the image and the unit of systemd start Node with the same options', () => {
  const [entry = '[]'] = rests(final, 'ENTRYPOINT');
  const [, ...options] = (JSON.parse(entry) as string[]).filter((word) => word !== 'dist/main.js');
  expect(options).toEqual(['--max-semi-space-size=4', '--v8-pool-size=1']);
  const unit = readFileSync('deploy/systemd/breakwater.service', 'utf8');
  expect(unit).toContain(`\nEnvironment="NODE_OPTIONS=${options.join(' ')}"\n`);
});

test('the compiled code is cached by the user that reads it', () => {
  const [user = ''] = rests(final, 'USER');
  expect(user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(rests(build, 'USER')).toEqual([user]);
});

test('a release can name both images by their digest', () => {
  const named = rests(before, 'ARG').map((arg) => arg.split('=')[0]);
  expect([...rests(build, 'FROM'), ...rests(final, 'FROM')]).toEqual(
    named.map((name, stage) => `\${${name}}${stage === 0 ? ' AS build' : ''}`),
  );
});

test('the labels are those of OCI', () => {
  const [labels = ''] = rests(final, 'LABEL');
  const keys = [...labels.matchAll(/org\.opencontainers\.image\.(\w+)=/g)].map(([, key = '']) => key);
  expect(keys.toSorted()).toEqual([
    'created',
    'description',
    'licenses',
    'revision',
    'source',
    'title',
    'version',
  ]);
});

test('.dockerignore lets through what is copied, and it exists', () => {
  const allowed = readFileSync('.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('!'))
    .map((line) => line.slice(1));
  const copied = [...build, ...final]
    .filter(({ word, rest }) => word === 'COPY' && !rest.startsWith('--from'))
    .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
  expect(copied.filter((path) => !existsSync(path))).toEqual([]);
  // A file that is let through is copied with its folder.
  const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
  expect(allowed.filter((path) => !copied.some((folder) => within(path, folder)))).toEqual([]);
  expect(copied.filter((folder) => !allowed.some((path) => within(path, folder)))).toEqual([]);
});
