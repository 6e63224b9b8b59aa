import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { positive, readArguments, whole } from '../lib/arguments.ts';
import { runOutage } from './outage.ts';

const { values } = readArguments({
  before: positive(30),
  outage: whole(30),
  after: positive(60),
  rps: whole(20, 1, 200),
  /** Seconds for which the proxy stays, to look at the page. */
  stay: whole(600, 0, 3_600),
});

/** URLs that the proxy logs when it listens. */
interface Listening {
  readonly proxy: string;
  readonly admin: string;
  readonly api: string;
}

const child = spawn(process.execPath, ['src/main.ts', 'start', '--demo'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
process.once('SIGINT', () => stop());
process.once('SIGTERM', () => stop());
const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 0)));

const found = await Promise.race([listening(child), ended]);
if (typeof found === 'number') process.exit(found === 0 ? 0 : 1);
const { proxy, admin, api } = found;
console.log(`Look at ${admin}/?span=5m while this runs.\n`);
const counts = await Promise.race([
  runOutage({ ...values, api: `${proxy}/demo`, direct: api, admin, say: (line) => console.log(line) }),
  ended,
]);
if (typeof counts !== 'number') {
  for (const [part, { calls, good }] of Object.entries(counts))
    console.log(`${part}: ${good} of ${calls} calls succeeded`);
  if (values.stay > 0)
    console.log(`\nThe outage is on ${admin}/?span=5m for another ${values.stay} s. Ctrl-C ends the demo.`);
  const over = setTimeout(stop, values.stay * 1_000);
  await ended;
  clearTimeout(over);
}

function stop(): void {
  child.kill('SIGTERM');
}

/** Reads the log until the proxy listens, and drops the rest. */
async function listening({ stdout }: ChildProcess): Promise<Listening | number> {
  let apiUrl = '';
  if (stdout === null) return 1;
  for await (const line of createInterface({ input: stdout })) {
    const { msg = '', admin: adminUrl } = JSON.parse(line) as { msg?: string; admin?: string };
    apiUrl = /\/demo → (http\S+)/.exec(msg)?.[1] ?? apiUrl;
    const url = /^listening on (http\S+)/.exec(msg)?.[1];
    if (url === undefined || adminUrl === undefined) continue;
    stdout.resume();
    return { proxy: url, admin: adminUrl, api: apiUrl };
  }
  return 1;
}
