import { mkdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { digestOf, digestOfNames, patternKey, unreadable } from '../../src/config/read/digests.ts';
import { FileWatch } from '../../src/config/watch-file.ts';
import { temporaryFolder } from '../support/command.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A watch of one file that holds `one`; `looks` lets it look so many times. */
function watched(path: (folder: string) => string = (folder) => join(folder, 'config.yaml')) {
  const folder = temporaryFolder({ 'config.yaml': 'one' });
  const clock = new FakeClock();
  const changes: number[] = [];
  const file = path(folder);
  const watch = new FileWatch(new Map([[file, digestOf('one')]]), clock, () => changes.push(clock.now()));
  onTestFinished(() => watch.close());
  const looks = async (count: number) => {
    for (let look = 0; look < count; look++) {
      await clock.advance((clock.deadlines[0] ?? clock.now()) - clock.now());
      // A look reads real files; it has ended once the next one is planned.
      while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { folder, file, clock, changes, watch, looks };
}

test('a file that stays the same is no change, however often it is polled', async () => {
  const { changes, looks } = watched();
  await looks(5);
  expect(changes).toEqual([]);
});

test('an edit in place is a change once it has settled', async () => {
  const { file, changes, looks } = watched();
  writeFileSync(file, 'two');
  await looks(1);
  expect(changes).toEqual([]);
  await looks(1);
  expect(changes).toEqual([1_100]);
  await looks(3);
  expect(changes).toHaveLength(1);
});

test('a new file that a pattern matches is a change, and others are not', async () => {
  const { folder, changes, watch, looks } = watched();
  const files = new Map([[patternKey(join(folder, '*.yaml')), digestOfNames(['config.yaml'])]]);
  watch.loaded(files);
  writeFileSync(join(folder, '.more.yaml.swp'), 'two');
  writeFileSync(join(folder, 'notes.md'), 'two');
  await looks(3);
  expect(changes).toEqual([]);
  writeFileSync(join(folder, 'more.yaml'), 'two');
  await looks(2);
  expect(changes).toHaveLength(1);
});

test('content that still changes is not loaded yet', async () => {
  const { file, changes, looks } = watched();
  for (const text of ['two', 'three', 'four']) {
    writeFileSync(file, text);
    await looks(1);
  }
  expect(changes).toEqual([]);
  await looks(1);
  expect(changes).toHaveLength(1);
});

test('a write that leaves size and times alone is found by its content', async () => {
  const { file, changes, looks } = watched();
  await looks(1);
  const { atime, mtime } = statSync(file);
  writeFileSync(file, 'two');
  utimesSync(file, atime, mtime);
  await looks(2);
  expect(changes).toHaveLength(1);
});

test('a file that is touched without new content is no change', async () => {
  const { file, changes, looks } = watched();
  await looks(2);
  utimesSync(file, 1, 1);
  await looks(3);
  expect(changes).toEqual([]);
});

test('a symbolic link: its target is edited, and its folder is swapped', async () => {
  const { folder, changes, looks } = watched((at) => {
    mkdirSync(join(at, 'v1'));
    writeFileSync(join(at, 'v1', 'config.yaml'), 'one');
    symlinkSync('v1', join(at, '..data'));
    symlinkSync('..data/config.yaml', join(at, 'link.yaml'));
    return join(at, 'link.yaml');
  });
  writeFileSync(join(folder, 'v1', 'config.yaml'), 'two');
  await looks(2);
  expect(changes).toHaveLength(1);
  // As the kubelet does it.
  mkdirSync(join(folder, 'v2'));
  writeFileSync(join(folder, 'v2', 'config.yaml'), 'three');
  symlinkSync('v2', join(folder, '..tmp'));
  renameSync(join(folder, '..tmp'), join(folder, '..data'));
  await looks(2);
  expect(changes).toHaveLength(2);
});

test('a file that goes away is one change, and so is its return', async () => {
  const { file, changes, looks, watch } = watched();
  rmSync(file);
  await looks(2);
  expect(changes).toHaveLength(1);
  watch.loaded(new Map([[file, unreadable({ code: 'ENOENT' })]]));
  writeFileSync(file, 'one');
  await looks(3);
  expect(changes).toHaveLength(2);
});

test('a change between the load and the first poll is found', async () => {
  const { file, changes, looks, watch } = watched();
  writeFileSync(file, 'three');
  // A reload has read `two`, which a moment later is `three`.
  watch.loaded(new Map([[file, digestOf('two')]]));
  await looks(2);
  expect(changes).toHaveLength(1);
});

test('the files of a later load are watched from then on', async () => {
  const { folder, file, changes, looks, watch } = watched();
  writeFileSync(join(folder, 'other'), 'x');
  watch.loaded(
    new Map([
      [file, digestOf('one')],
      [join(folder, 'other'), digestOf('x')],
    ]),
  );
  await looks(2);
  writeFileSync(join(folder, 'other'), 'y');
  await looks(2);
  expect(changes).toHaveLength(1);
});
