import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';

const GOOD = {
  homepage: 'https://forge.test/owner/breakwater#readme',
  repository: { url: 'git+https://forge.test/owner/breakwater.git' },
  bugs: { url: 'https://forge.test/owner/breakwater/issues' },
  version: '1.2.3',
};

/** The refusals that `.ci/publishable.js` prints, and its exit code. */
async function refusals(
  about: object,
  contact: string,
  changelog = '# Changelog\n\n## [1.2.3] - 2026-01-02\n',
) {
  const cwd = temporaryFolder({
    'package.json': JSON.stringify({ ...GOOD, ...about }),
    'SECURITY.md': `Write to <${contact}>.\n`,
    'CHANGELOG.md': changelog,
  });
  const script = run(process.execPath, [resolve('.ci/publishable.js')], { cwd });
  return { code: await script.ended(), lines: script.err.split('\n').filter((line) => line !== '') };
}

test('a package with real addresses may be published', async () => {
  expect(await refusals({}, 'security@forge.test')).toEqual({ code: 0, lines: [] });
});

test('each placeholder is refused by name, and docs/releasing.md lists it', async () => {
  const homepage = 'https://breakwater.example/';
  const repository = { url: 'git+https://breakwater.example/breakwater.git' };
  const bugs = { url: 'https://breakwater.example/breakwater/issues' };
  const contact = 'security@breakwater.example';
  expect(await refusals({ homepage, repository, bugs }, contact)).toEqual({
    code: 1,
    lines: [
      expect.stringContaining('package.json: homepage'),
      expect.stringContaining('package.json: repository.url'),
      expect.stringContaining('package.json: bugs.url'),
      expect.stringContaining('SECURITY.md: the contact'),
    ],
  });
  const releasing = readFileSync('docs/releasing.md', 'utf8');
  for (const row of ['| `homepage`', '| `repository.url`', '| `bugs.url`', '| the contact in `SECURITY.md`'])
    expect(releasing).toContain(row);
});

test('HOST of the instructions and a version that the CHANGELOG does not have are refused', async () => {
  const { lines } = await refusals(
    { homepage: 'https://HOST/OWNER/breakwater#readme' },
    'security@forge.test',
    '',
  );
  expect(lines).toEqual([
    expect.stringContaining('package.json: homepage'),
    expect.stringContaining('CHANGELOG.md: there is no "## [1.2.3]'),
  ]);
});
