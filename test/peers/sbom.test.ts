import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';

test('the list of packages of a build is valid CycloneDX 1.5', async () => {
  const file = join(temporaryFolder(), 'sbom.cdx.json');
  const program = run(process.execPath, ['.ci/sbom.js', file]);
  if ((await program.ended()) !== 0) throw new Error(program.err);
  const list = readFileSync(file, 'utf8');
  expect(JSON.parse(list)).toMatchObject({ specVersion: Spec.Version.v1dot5 });
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot5);
  expect(await validator.validate(list)).toBeNull();
});
