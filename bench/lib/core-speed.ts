import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../programs/fixed-work.ts', import.meta.url));

/**
 * CPU time that work which is always the same takes on this core now, in ms. A core of a virtual machine can be slower for seconds,
 * because its physical core has other work, and no counter of this machine shows that.
 */
export function fixedWorkMs(core: number): number {
  const { stdout, status } = spawnSync('taskset', ['-c', String(core), process.execPath, program]);
  if (status !== 0) throw new Error(`${program} ended with ${status}`);
  return Number(stdout);
}

/** A core is slow if the work takes this much more than in its best measurement. */
const SLOW = 1.1;

/** Whether the core was as fast as ever before and after something. */
export const isFast = (workMs: readonly number[], bestMs: number): boolean =>
  workMs.every((ms) => ms <= bestMs * SLOW);
