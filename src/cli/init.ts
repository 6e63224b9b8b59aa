import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/read/problem.ts';
import { presetOf } from '../config/resolve/preset.ts';
import { needsAllowPrivate } from '../config/resolve/upstream-url.ts';
import { readArgs } from './args.ts';
import { DEMO_URL } from './demo-config.ts';
import type { Command, Io } from './io.ts';

const USAGE = {
  text: `Usage: breakwater init [--upstream URL [--preset NAME] [--name NAME]] [--config FILE]

Writes a small configuration to start from. It asks nothing and replaces no file. Without --upstream it has an upstream
"demo" for the demo API of: breakwater start --demo

      --upstream URL  the API that the app calls, for example https://api.stripe.com
      --preset NAME   its preset; found by the host if left out, "none" for none
      --name NAME     the name of the upstream, which is also its path; found by the preset or the host if left out
  -c, --config FILE   the file to write (default config.yaml)
  -h, --help          this text

Exit codes: 0 written, 1 the file exists or the values are wrong, 2 wrong usage.
`,
  options: {
    upstream: { type: 'string' },
    preset: { type: 'string' },
    name: { type: 'string' },
    config: { type: 'string', short: 'c', default: 'config.yaml' },
  },
  words: [],
} as const;

/** `breakwater init`: writes a small configuration. */
export const init: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { config: file, ...written } = called.values;
  const path = resolve(io.cwd, file);
  if (existsSync(path))
    return failed(io, `${file} exists and was not changed; name another file with --config`);
  const upstream = written.upstream === undefined ? DEMO : upstreamOf(written.upstream, written);
  if (typeof upstream === 'string') return failed(io, upstream);
  const text = configFor(upstream);
  const loaded = loadConfig(file, io.env, () => text);
  if (!loaded.ok) return failed(io, loaded.problems.map(formatProblem).join('\n'));
  try {
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    return failed(io, `cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
  io.out(`${next(file, upstream)}`);
  return 0;
};

function failed(io: Io, why: string): number {
  io.err(`${why}\n`);
  return 1;
}

interface NewUpstream {
  readonly name: string;
  readonly url: string;
  readonly preset: string | undefined;
  readonly isPrivate: boolean;
}

const DEMO: NewUpstream = { name: 'demo', url: DEMO_URL, preset: undefined, isPrivate: true };

interface Wishes {
  readonly preset?: string | undefined;
  readonly name?: string | undefined;
}

/** The upstream for `written`, or what is wrong with it. */
function upstreamOf(written: string, { preset: wished, name }: Wishes): NewUpstream | string {
  const url = URL.parse(/^https?:/i.test(written) ? written : `https://${written}`);
  if (url === null) return `--upstream: "${written}" is not a URL; write for example https://api.example.com`;
  const preset = wished === 'none' ? undefined : (wished ?? presetOf(url.hostname));
  return {
    name: name ?? preset ?? nameFrom(url.hostname),
    url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    preset,
    // A user who names a private address wants it.
    isPrivate: needsAllowPrivate(url.hostname),
  };
}

/** `api.example.co.uk` becomes `example`; an address becomes `api`. */
function nameFrom(host: string): string {
  const labels = host.split('.').filter((label) => !/^(?:api|www|gateway|\d+)$/.test(label));
  return /^[a-z][\w-]*$/i.test(labels[0] ?? '') ? (labels[0] as string) : 'api';
}

function configFor({ name, url, preset, isPrivate }: NewUpstream): string {
  return `# Breakwater's configuration. A running proxy reads it again when it changes.
#   ${'breakwater check'.padEnd(36)}lists all problems of this file
#   ${`breakwater explain GET /${name}/…`.padEnd(36)}shows what happens to a request, and where each value is set
#   ${'breakwater schema --markdown'.padEnd(36)}lists all keys

listen: 127.0.0.1:8080 # apps connect here
admin: 127.0.0.1:8081 # the page, /metrics, /healthz, /readyz

upstreams:
  ${name}: # the app's base URL is http://127.0.0.1:8080/${name}
    url: ${url}
${[
  preset === undefined
    ? []
    : [`    preset: ${preset} # known facts about this API: breakwater presets ${preset}`],
  isPrivate ? ['    allow_private: true # a loopback or private address is refused without this'] : [],
]
  .flat()
  .map((line) => `${line}\n`)
  .join(
    '',
  )}    # Without a line here, GET, PUT and DELETE are tried up to three times, and a circuit breaker protects the API.
    # timeouts: { attempt: 10s, total: 60s }
    # retry: { attempts: 3, idempotency_key: pass }
    # quota: [100/s]
`;
}

function next(file: string, { name }: NewUpstream): string {
  const option = file === 'config.yaml' ? '' : ` --config ${file}`;
  const start = name === DEMO.name ? `breakwater start --demo${option}` : `breakwater start${option}`;
  return `${file} is written. Next:
  breakwater check${option}
  ${start}
and give the app the base URL http://127.0.0.1:8080/${name}
`;
}
