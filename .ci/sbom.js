#!/usr/bin/env node
// Part of `npm run build`: writes dist/sbom.cdx.json, the CycloneDX list of what is in the bundle and the image. npm makes
// the list from package-lock.json. Its own `--omit dev` leaves out packages that a tool uses too (zod, undici), so the list is
// cut here to what the dependencies need. It has no date and no serial number: the same lock file gives the same list.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const NPM_BYTES = 64 * 1024 * 1024;
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const printed = execFileSync(
  npm,
  ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application', '--package-lock-only'],
  { encoding: 'utf8', maxBuffer: NPM_BYTES, shell: process.platform === 'win32' },
);
const { serialNumber: _, ...all } = JSON.parse(printed);
const about = JSON.parse(readFileSync('package.json', 'utf8'));
const own = `${about.name}@${about.version}`;

/** @type {Map<string, string[]>} */
const needs = new Map(all.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]));
const nameOf = (ref) => ref.slice(0, ref.lastIndexOf('@'));
const direct = needs.get(own).filter((ref) => Object.hasOwn(about.dependencies, nameOf(ref)));
const kept = new Set(direct);
for (const ref of kept) for (const other of needs.get(ref) ?? []) kept.add(other);

const { timestamp: __, ...metadata } = all.metadata;
metadata.component.name = about.name;
const dependencies = [...kept].map((ref) => ({ ref, dependsOn: needs.get(ref) ?? [] }));
const list = {
  ...all,
  metadata,
  components: all.components.filter((component) => kept.has(component['bom-ref'])),
  dependencies: [{ ref: own, dependsOn: direct }, ...dependencies],
};
const [file = 'dist/sbom.cdx.json'] = process.argv.slice(2);
writeFileSync(file, `${JSON.stringify(list, null, 2)}\n`);
