import { stringify } from 'yaml';
import { matchesAny } from '../../http/wildcard.ts';
import type { Preset } from '../../presets/preset.ts';
import { PRESETS } from '../../presets/presets.ts';
import { didYouMean } from '../fields/did-you-mean.ts';
import { MATCH_MISSING } from '../fields/words.ts';
import { type PresetInput, presetSchema } from '../keys/preset-schema.ts';
import type { RouteInput } from '../keys/schema.ts';
import { type Lookup, reasonOf } from '../read/interpolate.ts';
import type { Path } from '../read/problem.ts';
import { Report } from '../read/report.ts';
import { readSource } from '../read/source.ts';
import { validate } from '../read/validate.ts';
import { checkRules } from './error-rules.ts';
import type { Layer } from './inherit.ts';
import { checkStream } from './stream.ts';

/** A preset as an upstream inherits it. */
export interface LoadedPreset {
  /** The URL of the API, which may have placeholders; undefined: the upstream has to write it. */
  readonly url: string | undefined;
  readonly layer: Layer;
  readonly routes: readonly PresetRoute[];
}

export interface PresetRoute {
  readonly name: string | undefined;
  readonly match: RouteInput['match'];
  readonly layer: Layer;
}

/** Replaces a preset whose name or file is wrong, so that the rest can be checked. */
const NOTHING: PresetInput = {};

interface PresetContext {
  readonly report: Report;
  readonly lookup: Lookup;
}

/** The preset that `written` at `path` names: a built-in one, or a file relative to the configuration. */
export function loadPreset(written: string, path: Path, context: PresetContext): LoadedPreset {
  return isFile(written) ? fromFile(written, path, context) : builtInPreset(written, path, context.report);
}

const isFile = (written: string): boolean => /\/|\.ya?ml$/i.test(written);

function builtInPreset(name: string, path: Path, report: Report): LoadedPreset {
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (preset === undefined) report.problem(path, unknown(name));
  const input = preset === undefined ? NOTHING : checked(name, preset);
  return layered(input, path, {
    name: `preset ${name}`,
    place: (_keys, source) => (source === undefined ? `preset ${name}` : `preset ${name} (${source})`),
  });
}

function unknown(name: string): string {
  const names = Object.keys(PRESETS);
  const meant = didYouMean(name, names);
  if (meant !== undefined) return `"${name}" is not a preset; did you mean "${meant}"?`;
  return `"${name}" is not a preset; write one of ${names.join(', ')}, or the path of a preset file such as ./${name}.yaml`;
}

function checked(name: string, preset: Preset): PresetInput {
  const { input, findings } = validate(preset, presetSchema);
  if (input === undefined || findings.length > 0)
    throw new Error(`the built-in preset ${name} is wrong: ${JSON.stringify(findings)}`);
  return input;
}

function fromFile(file: string, path: Path, { report, lookup }: PresetContext): LoadedPreset {
  let text: string;
  try {
    text = lookup.readFile(file);
  } catch (error) {
    report.problem(path, `cannot read ${file}: ${reasonOf(error)}`);
    return layered(NOTHING, path, { name: `preset ${file}`, place: () => file });
  }
  const shown = lookup.locate?.(file) ?? file;
  const source = readSource(shown, text, lookup);
  const own = new Report(shown, source.places);
  for (const problem of source.problems) own.add(problem);
  const { findings, input } = source.fatal
    ? { findings: [], input: undefined }
    : validate(source.value, presetSchema);
  for (const finding of findings) own.finding(finding.path, finding.message, finding.about);
  if (input !== undefined) checkParts(input, own);
  report.adopt(own.problems);
  return layered(input ?? NOTHING, path, {
    name: `preset ${file}`,
    place: (keys) => `${shown}:${source.places.value(keys).line} (preset)`,
  });
}

function checkParts({ errors, routes, stream }: PresetInput, report: Report): void {
  checkRules(errors?.rules, ['errors', 'rules'], report);
  checkStream(stream, ['stream'], report);
  routes?.forEach((route, index) => {
    const path = ['routes', index];
    if (route.match?.method === undefined && route.match?.path === undefined)
      report.problem([...path, 'match'], MATCH_MISSING, 'key');
    checkRules(route.errors?.rules, [...path, 'errors', 'rules'], report);
    checkStream(route.stream, [...path, 'stream'], report);
  });
}

interface PresetOrigin {
  readonly name: string;
  /** Describes where the preset sets `keys`, for `explain`. */
  readonly place: (keys: Path, source: string | undefined) => string;
}

function layered(input: PresetInput, path: Path, { name, place }: PresetOrigin): LoadedPreset {
  const { url, source, sources = {}, routes = [], ...rest } = input;
  const { about: _about, hosts: _hosts, verified: _verified, ...values } = rest;
  return {
    url,
    layer: { name, path, values, describe: (key) => place(key.split('.'), sourceOf(key, sources) ?? source) },
    routes: routes.map(({ name: route, match, source: ofRoute = source, ...rest }, index) => ({
      name: route,
      match,
      layer: {
        name,
        path,
        values: rest,
        describe: (key) => place(['routes', index, ...key.split('.')], ofRoute),
      },
    })),
  };
}

/** The source of a key, or of the nearest section around it. */
function sourceOf(key: string, sources: Readonly<Record<string, string | undefined>>): string | undefined {
  for (let at = key; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('.')))) {
    if (sources[at] !== undefined) return sources[at];
  }
  return undefined;
}

/** The name of the built-in preset for an API at `host`; undefined if there is none. */
export function presetOf(host: string): string | undefined {
  return Object.entries(PRESETS).find(([, { hosts }]) => matchesAny(host, hosts))?.[0];
}

/** The built-in presets, as a table for docs/configuration.md. */
export function presetTable(): string {
  const rows = Object.entries(PRESETS).map(
    ([name, { about, hosts, source, verified }]) =>
      `| \`${name}\` | ${hosts.map((host) => `\`${host}\``).join(', ')} | ${about} | [${verified}](${source}) |`,
  );
  return ['| Preset | Hosts | What it knows | Verified |', '| --- | --- | --- | --- |', ...rows, ''].join(
    '\n',
  );
}

/** A built-in preset as YAML, to read or to start a preset file from. */
export function presetFile(name: string): { readonly text: string } | { readonly problem: string } {
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  return preset === undefined
    ? { problem: unknown(name) }
    : { text: stringify(preset, { lineWidth: 120, aliasDuplicateObjects: false }) };
}
