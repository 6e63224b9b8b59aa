import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { readArguments } from '../lib/arguments.ts';
import { type RunningBreakwater, startBreakwater } from './breakwater.ts';
import { BEFORE_THE_REPLY, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { configuredRegistry, npmInstall, packagesIn } from './npm.ts';

const { values, word: packageName = 'express' } = readArguments({ 'in-body': false }, { word: 'package' });

/** Runs of npm. After breaks in a body, npm fails, and the next run uses its cache. */
const MOST_RUNS = values['in-body'] ? 20 : 1;

/** Failures after the client has received its 200. No streaming proxy can repeat these, because npm has the first bytes. */
const CUT = /status="2.*outcome="failed"/;

const registry = configuredRegistry();
const folder = mkdtempSync(join(tmpdir(), 'npm-through-faults-'));
try {
  process.exitCode = await run();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function run(): Promise<number> {
  const faults = await startFaultProxy({
    target: registry.url,
    ca: [...getCACertificates('default'), ...registry.ca],
    breakEvery: 3,
    requestsPerConnection: 4,
    breaches: values['in-body'] ? [...BEFORE_THE_REPLY, 'in the body'] : BEFORE_THE_REPLY,
    random: Math.random,
  });
  const breakwater = await startBreakwater(folder, `${faults.url}${registry.url.pathname}`);
  try {
    console.log(
      `npm install ${packageName}: npm → Breakwater → fault proxy → the registry of this machine's npm`,
    );
    const { code, runs, output } = await install(breakwater.url);
    if (code !== 0) console.log(withoutHost(`npm failed:\n${output}\nBreakwater's log:\n${breakwater.log}`));
    return (await report({ breakwater, faults, runs, installed: code === 0 })) ? 0 : 1;
  } finally {
    await breakwater.stop();
    await faults.close();
  }
}

async function install(url: string) {
  writeFileSync(join(folder, 'package.json'), '{ "name": "through-faults", "private": true }\n');
  for (let runs = 1; ; runs++) {
    const { code, output } = await npmInstall(folder, packageName, `${url}/`);
    if (code === 0 || runs >= MOST_RUNS) return { code, runs, output };
    console.log(`  npm gave up (run ${runs}); once more with the same cache`);
  }
}

interface Result {
  readonly breakwater: RunningBreakwater;
  readonly faults: FaultProxy;
  readonly runs: number;
  readonly installed: boolean;
}

/** Prints the result. True if npm installed everything and Breakwater retried. */
async function report({ breakwater, faults, runs, installed }: Result): Promise<boolean> {
  const broken = Object.entries(faults.broken).filter(([, count]) => count > 0);
  const sum = broken.reduce((total, [, count]) => total + count, 0);
  const rescued = await breakwater.total('breakwater_rescued_requests_total');
  const rows: readonly (readonly [string, number | string])[] = [
    ['packages installed', installed ? packagesIn(folder) : 'npm failed'],
    ['runs of npm', runs],
    ['connections to the registry', faults.connections],
    ['  broken', `${sum}: ${broken.map(([where, count]) => `${count} ${where}`).join(', ')}`],
    ['requests from npm', await breakwater.total('breakwater_requests_total')],
    ['attempts', await breakwater.total('breakwater_attempts_total')],
    ['  of them retries', await breakwater.total('breakwater_retries_total')],
    ['rescued: answered after a broken attempt', rescued],
    ['answered 5xx after all attempts', await breakwater.total('breakwater_requests_total', /status="5/)],
    ['cut after their head had gone to npm', await breakwater.total('breakwater_requests_total', CUT)],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(42)}${value}`);
  return installed && sum > 0 && rescued > 0;
}

/** Removes the name of the registry from the output. */
function withoutHost(text: string): string {
  return text.replaceAll(registry.url.host, '<registry>').replaceAll(registry.url.hostname, '<registry>');
}
