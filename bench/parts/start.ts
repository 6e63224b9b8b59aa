import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from '../lib/context.ts';
import { BARE, BREAKWATER, bare, breakwater, type Contender } from '../lib/contenders.ts';
import { largeConfig } from '../lib/large-config.ts';
import { startOrigin } from '../lib/origin.ts';
import { atMost, type Part } from '../lib/report.ts';
import { median, quartiles } from '../lib/stats.ts';

const WITH_STORE = `${BREAKWATER}, durable store`;
const LARGE_SIZE = { upstreams: 300, routes: 10 };
const LARGE = `${BREAKWATER}, ${LARGE_SIZE.upstreams} × ${LARGE_SIZE.routes} routes`;
/** More than `node -e 0` that `breakwater check` may take, and the factor before. */
const CHECK_MS = 100;
const CHECK_RATIO = 1.5;

/** Time from spawn until a connection is accepted, and the time of a whole `breakwater check`. */
export async function start(context: Context): Promise<Part> {
  const { tempDir, fromSource, quick } = context;
  const originPort = await startOrigin();
  const durable: Contender = {
    ...breakwater(tempDir, {
      fromSource,
      config: ({ dir }) => `durable: { store: ${join(dir, 'bench.db')} }
upstreams:
  origin: { url: "http://127.0.0.1:${originPort}", mount: { path: / }, allow_private: true, durable: true }
`,
    }),
    name: WITH_STORE,
  };
  const large: Contender = {
    ...breakwater(tempDir, { fromSource, config: () => largeConfig(LARGE_SIZE) }),
    name: LARGE,
  };
  const contenders = [bare(tempDir), breakwater(tempDir, { fromSource }), durable, large];
  const missing = contenders.find((one) => one.missing !== undefined)?.missing;
  if (missing !== undefined) throw new Error(missing);
  const times = new Map<string, number[]>();
  const add = (name: string, ms: number): unknown => times.set(name, [...(times.get(name) ?? []), ms]);
  // One round more than counts: the first reads the files into memory.
  for (let round = 0; round <= (quick ? 5 : 11); round++) {
    for (const one of contenders) {
      const running = await one.launch(originPort);
      if (round > 0) add(one.name, running.listeningMs);
      await running.stop();
    }
    for (const [name, args] of commands(fromSource, tempDir)) {
      const begunAt = performance.now();
      const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`${name} failed:\n${stderr}`);
      if (round > 0) add(name, performance.now() - begunAt);
    }
  }
  return reported(times);
}

const NODE = 'node -e 0';
const CHECK = 'breakwater check';

function commands(fromSource: boolean, tempDir: string): [string, string[]][] {
  const root = fileURLToPath(new URL('../../', import.meta.url));
  const file = join(tempDir, 'check.yaml');
  writeFileSync(file, 'upstreams: { api: { url: https://api.example.com } }\n');
  return [
    [NODE, ['-e', '0']],
    [CHECK, [join(root, fromSource ? 'src/main.ts' : 'dist/main.js'), 'check', '--config', file]],
  ];
}

function reported(times: ReadonlyMap<string, number[]>): Part {
  const of = (name: string): number[] => times.get(name) ?? [];
  const ratios = of(WITH_STORE).map((ms, round) => ms / (of(BARE)[round] ?? NaN));
  const sizes = of(LARGE).map((ms, round) => ms / (of(BREAKWATER)[round] ?? NaN));
  const checks = of(CHECK).map((ms, round) => ms - CHECK_RATIO * (of(NODE)[round] ?? NaN));
  return {
    title: 'Start',
    tables: [
      {
        head: ['from spawn to listening, or to the end', 'ms', 'quartiles', 'minimum'],
        rows: [...times].map(([name, all]) => [
          name,
          median(all).toFixed(0),
          quartiles(all)
            .map((ms) => ms.toFixed(0))
            .join('–'),
          Math.min(...all).toFixed(0),
        ]),
      },
    ],
    goals: [
      atMost(`listening with a store, × ${BARE}`, median(ratios), 1, quartiles(ratios)),
      atMost(
        `listening with ${LARGE_SIZE.upstreams} × ${LARGE_SIZE.routes} routes, × one`,
        median(sizes),
        1.5,
        quartiles(sizes),
      ),
      atMost(`${CHECK}, ms more than ${CHECK_RATIO} × ${NODE}`, median(checks), CHECK_MS, quartiles(checks)),
    ],
    notes: [`Medians of ${of(BARE).length} starts, in turn.`],
  };
}
