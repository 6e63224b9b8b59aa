import { dump } from 'js-yaml';
import { PRESETS } from '../../presets/presets.ts';
import { unknownPreset } from './preset.ts';

/** The built-in presets, as a table for docs/configuration.md. */
export function presetTable(): string {
  const rows = Object.entries(PRESETS).map(
    ([name, { about, source }]) => `| \`${name}\` | ${about} | [source](${source}) |`,
  );
  return ['| Preset | What it knows | |', '| --- | --- | --- |', ...rows, ''].join('\n');
}

/** A built-in preset as YAML, to read or to start a preset file from. */
export function presetFile(name: string): { readonly text: string } | { readonly problem: string } {
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  return preset === undefined
    ? { problem: unknownPreset(name) }
    : { text: dump(preset, { lineWidth: 120, noRefs: true }) };
}
