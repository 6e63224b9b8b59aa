import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Entry {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Readonly<Record<string, Entry>>;
};

test('the lock knows the binaries of every platform; if not, run: node .ci/complete-lock.js', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) =>
        packages[`node_modules/${name}`] === undefined &&
        packages[`${path}/node_modules/${name}`] === undefined,
    ),
  );
  expect(missing).toEqual([]);
});

test('the lock names no download address: each machine has its own registry', () => {
  // A link is a folder of this repository.
  const named = Object.values(packages).filter(
    ({ link, resolved }) => link !== true && resolved !== undefined,
  );
  expect(named).toEqual([]);
});
