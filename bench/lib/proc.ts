import { readdirSync, readFileSync } from 'node:fs';

/** Figures about a running process and its children. All of them read /proc, so they are for Linux only. */

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the thread or process ended between listing and reading
  }
}

/** `pid` and all its descendants. */
export function processTree(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(processTree)];
}

/**
 * CPU time (user and system, microseconds) of a process tree, summed over all threads. It is read from `schedstat`, in
 * nanoseconds. The ticks of `/proc/<pid>/stat` are 10 ms, a third of the CPU time of a round.
 */
export function cpuMicros(pid: number): number {
  let nanos = 0;
  for (const member of processTree(pid)) {
    for (const thread of readdirSync(`/proc/${member}/task`)) {
      nanos += Number(read(`/proc/${member}/task/${thread}/schedstat`).split(' ')[0] ?? 0);
    }
  }
  return nanos / 1000;
}

/** Resident memory in bytes, summed over a process tree (pages shared between members count in each). */
export function residentBytes(pid: number): number {
  return processTree(pid).reduce((sum, member) => {
    const kib = /^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${member}/status`))?.[1];
    return sum + Number(kib ?? 0) * 1024;
  }, 0);
}
