import type { Answer, Question } from '../app/app.ts';
import { type Good, type Loaded, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/read/problem.ts';
import { settingsOf } from '../config/read/settings-of.ts';
import { headerValues, processValues, routeValues, upstreamValues } from '../config/show/effective.ts';
import { type Report, simulationReport } from '../simulate/report.ts';
import type { Subject } from '../simulate/sidecar.ts';
import { SCENARIO, type ScenarioValues, scenarioOf, subjectOf } from './simulate.ts';

export interface Inspected {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string) => string;
  /** Lists a folder. Default: relative to the working directory. */
  readonly listFolder?: (path: string) => readonly string[];
}

/** Calls of a simulation that the admin API starts. Four runs with these take about 20 seconds of one CPU. */
const MOST_CALLS = 60_000;

/** Longer settings are no experiment any more. */
const LONGEST_SETTINGS = 20_000;

/** Answers a question of the admin API about the configuration, as the file has it now. */
export async function inspect({ kind, parameters }: Question, inspected: Inspected): Promise<Answer> {
  const loaded = load(inspected);
  if (!loaded.ok) return refused(loaded);
  return kind === 'values' ? values(loaded, parameters) : simulated(loaded, parameters, inspected);
}

function refused({ problems }: Exclude<Loaded, Good>): Answer {
  return {
    ok: false,
    status: 422,
    detail: 'the configuration has problems',
    errors: problems.map(formatProblem),
  };
}

type Parameters = Question['parameters'];

/** The keys of the process, and those of one route. */
function values(loaded: Good, { upstream: name, route: routeName = 'default' }: Parameters): Answer {
  const { upstreams, file } = loaded.config;
  const all = upstreams.map((upstream) => ({
    name: upstream.name,
    routes: upstream.routes.map((route) => route.name),
  }));
  const body = { file, process: processValues(loaded), upstreams: all };
  if (name === undefined) return { ok: true, body };
  const upstream = upstreams.find((one) => one.name === name);
  const route = upstream?.routes.find((one) => one.name === routeName);
  if (upstream === undefined || route === undefined)
    return unknown(`there is no route ${JSON.stringify(routeName)} of an upstream ${JSON.stringify(name)}`);
  const shown = [
    ...upstreamValues(loaded, upstream),
    ...headerValues(loaded, route),
    ...routeValues(loaded, route),
  ];
  return { ok: true, body: { ...body, values: shown } };
}

const DEFAULTS = { ...SCENARIO, upstream: '', route: 'default', settings: '' };
const TEXTS = [...Object.keys(DEFAULTS), 'capacity', 'target'];

type Texts = typeof DEFAULTS & Pick<ScenarioValues, 'capacity'> & { readonly target?: string };

/** The report of `breakwater simulate`, and that of the configuration without `settings` as `before`. */
async function simulated(loaded: Good, parameters: Parameters, inspected: Inspected): Promise<Answer> {
  const texts = textsOf(parameters);
  if (typeof texts === 'string') return wrong(texts);
  const { settings } = texts;
  const scenario = scenarioOf(texts, MOST_CALLS);
  if (typeof scenario === 'string') return wrong(scenario.replaceAll('--', ''));
  const subject = subjectOf(loaded.config, texts);
  if (typeof subject === 'string') return unknown(subject);
  const changed = settings.trim() === '' ? undefined : changedSubject(texts, inspected);
  if (changed !== undefined && 'ok' in changed) return changed;
  // Simulations take seconds, so they begin when all is known to be right.
  const report = await simulationReport(subject, scenario);
  if (changed === undefined) return { ok: true, body: report };
  const body = { ...(await simulationReport(changed, scenario)), before: report.config };
  return { ok: true, body: body satisfies WhatIf };
}

/** The route with `settings`, or the answer that says what is wrong with them. */
function changedSubject(texts: Texts, inspected: Inspected): Subject | Answer {
  const changed = changedConfig(texts.upstream, texts.settings, inspected);
  if (typeof changed === 'string') return wrong(changed);
  if (!changed.ok) return withoutPlaces(changed);
  const subject = subjectOf(changed.config, texts);
  return typeof subject === 'string' ? unknown(subject) : subject;
}

const wrong = (detail: string): Answer => ({ ok: false, status: 400, detail });
const unknown = (detail: string): Answer => ({ ok: false, status: 404, detail });

interface WhatIf extends Report {
  readonly before: Report['config'];
}

function textsOf(parameters: Parameters): Texts | string {
  for (const [name, value] of Object.entries(parameters)) {
    if (!TEXTS.includes(name)) return `unknown parameter "${name}"; write one of ${TEXTS.join(', ')}`;
    if (typeof value !== 'string' || value.length > LONGEST_SETTINGS)
      return `"${name}" must be a text of at most ${LONGEST_SETTINGS} characters`;
  }
  return { ...DEFAULTS, ...parameters };
}

function changedConfig(upstream: string, settings: string, inspected: Inspected): Loaded | string {
  const changed = settingsOf(upstream, settings);
  return typeof changed === 'string' ? changed : load(inspected, changed.text);
}

function load({ file, env, readFile, listFolder }: Inspected, last?: string): Loaded {
  return loadConfig(file, env, readFile, { last, ...(listFolder && { listFolder }) });
}

/** Lines of the settings are not lines of the file. */
function withoutPlaces({ problems }: Exclude<Loaded, Good>): Answer {
  const errors = problems.map(({ path, message }) => `${path}: ${message}`);
  return { ok: false, status: 422, detail: 'the settings have problems', errors };
}
