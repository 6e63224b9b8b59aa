import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender, Launched } from './contenders.ts';
import { residentBytes } from './proc.ts';
import { median } from './stats.ts';

/** A running contender with the cost of its start. */
export interface Started {
  readonly name: string;
  readonly running: Launched;
  /** Time from spawn to listening, median of the starts. */
  readonly listeningMs: number;
  /** Resident bytes after `IDLE_MS` without a request. */
  readonly idleBytes: number;
}

const IDLE_MS = 2_000;

/** Starts every contender `starts` times, one after another. The last start of each keeps running. */
export async function startAll(
  contenders: readonly Contender[],
  originPort: number,
  starts: number,
): Promise<Started[]> {
  const times = new Map<string, number[]>();
  const last = new Map<string, Launched>();
  for (let i = 0; i < starts; i++) {
    for (const contender of contenders) {
      await last.get(contender.name)?.stop();
      const running = await contender.launch(originPort);
      last.set(contender.name, running);
      times.set(contender.name, [...(times.get(contender.name) ?? []), running.listeningMs]);
    }
  }
  await sleep(IDLE_MS);
  return [...last].map(([name, running]) => ({
    name,
    running,
    listeningMs: median(times.get(name) ?? []),
    idleBytes: residentBytes(running.pid),
  }));
}
